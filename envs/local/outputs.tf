output "buckets" {
  description = "Bucket names: landing, raw, standardized, curated, gold, ops, contracts, artifacts."
  value       = module.lakehouse.buckets
}

output "databases" {
  description = "Glue database names: raw, standardized, curated, gold, ops."
  value       = module.lakehouse.databases
}

output "queue_urls" {
  description = "Queue URLs by topic."
  value       = module.lakehouse.queue_urls
}

output "dlq_urls" {
  description = "Dead-letter queue URLs by topic."
  value       = module.lakehouse.dlq_urls
}

output "firehose_name" {
  description = "The Firehose stream into RAW."
  value       = module.lakehouse.firehose_name
}

output "lambda_names" {
  description = "Function names by handler."
  value       = module.lakehouse.lambda_names
}

output "glue_job_names" {
  description = "Glue job names by stage: standardize, curate."
  value       = module.lakehouse.glue_job_names
}

output "state_machine_arn" {
  description = "The state machine that runs a cycle."
  value       = module.lakehouse.state_machine_arn
}

output "dynamodb_tables" {
  description = "DynamoDB table names: checkpoints, locks, processing_enabled, idempotency_keys, file_registry, circuit_breakers."
  value       = module.lakehouse.dynamodb_tables
}

output "alerts_topic_arn" {
  description = "The SNS topic that learns of failed cycles and of alarms."
  value       = module.lakehouse.alerts_topic_arn
}

output "settings" {
  description = "The settings document (JSON) that every function and job was given; the ledgerlake command reads it too."
  value       = module.lakehouse.settings
}
