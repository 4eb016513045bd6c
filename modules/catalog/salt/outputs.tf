output "arn" {
  description = "The secret that holds the salt."
  value       = aws_secretsmanager_secret.this.arn
}
