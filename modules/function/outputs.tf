output "name" {
  description = "The function's name."
  value       = aws_lambda_function.this.function_name
}

output "arn" {
  description = "The function's ARN."
  value       = aws_lambda_function.this.arn
}

output "role_arn" {
  description = "The ARN of the function's role."
  value       = aws_iam_role.this.arn
}

output "source_code_hash" {
  description = "The hash of the code deployed; changes when the code does."
  value       = aws_lambda_function.this.source_code_hash
}
