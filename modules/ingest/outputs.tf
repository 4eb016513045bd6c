output "queue_urls" {
  description = "Queue URLs by topic."
  value       = { for topic, queue in aws_sqs_queue.this : topic => queue.url }
}

output "dlq_urls" {
  description = "Dead-letter queue URLs by topic."
  value       = { for topic, queue in aws_sqs_queue.dlq : topic => queue.url }
}

output "dlq_names" {
  description = "Dead-letter queue names by topic."
  value       = { for topic, queue in aws_sqs_queue.dlq : topic => queue.name }
}

output "firehose_name" {
  description = "The Firehose stream into RAW."
  value       = aws_kinesis_firehose_delivery_stream.this.name
}

output "lambda_names" {
  description = "Function names by handler."
  value = {
    drain_dlq            = module.drain_dlq.name
    firehose_transform   = module.firehose_transform.name
    ingest               = module.ingest.name
    load_firehose_errors = module.load_firehose_errors.name
    probe_breakers       = module.probe_breakers.name
    processor            = module.processor.name
  }
}
