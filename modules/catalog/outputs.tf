output "buckets" {
  description = "Bucket names by purpose."
  value       = { for purpose, bucket in aws_s3_bucket.this : purpose => bucket.id }
}

output "databases" {
  description = "Glue database names by layer."
  value       = { for layer, database in aws_glue_catalog_database.this : layer => database.name }
}

output "dynamodb_tables" {
  description = "DynamoDB table names by purpose."
  value       = { for purpose, table in aws_dynamodb_table.this : purpose => table.name }
}

output "lambda_names" {
  description = "Function names by handler."
  value = {
    ensure_tables    = module.ensure_tables.name
    publish_contract = module.publish_contract.name
  }
}

output "pii_salt_arn" {
  description = "The secret that holds the salt of hashed personal data; empty when there is none."
  value       = var.pii_salt_enabled ? aws_secretsmanager_secret.pii_salt[0].arn : ""
}

output "tables_made" {
  description = "What ensure_tables answered at the last apply; depend on it to come after the tables."
  value       = aws_lambda_invocation.ensure_tables.result
}
