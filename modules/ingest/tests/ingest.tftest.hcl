mock_provider "aws" {
  override_during = plan

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:mocked" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:mocked" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:123456789012:mocked" }
  }
}

variables {
  name = "ledgerlake-test"
  account = {
    id        = "123456789012"
    region    = "eu-central-1"
    partition = "aws"
  }

  topics           = ["events", "earthquakes"]
  queue_prefix     = "ledgerlake-test-"
  firehose_name    = "ledgerlake-test-raw"
  buckets          = { landing = "t-landing", raw = "t-raw", ops = "t-ops" }
  raw_database     = "t_raw"
  dynamodb_tables  = { idempotency_keys = "t-idempotency-keys", file_registry = "t-file-registry", circuit_breakers = "t-circuit-breakers" }
  settings         = "{}"
  alerts_topic_arn = "arn:aws:sns:eu-central-1:123456789012:ledgerlake-test-alerts"
  light_package    = { bucket = "t-artifacts", key = "lambda/light.zip", hash = "aGFzaA==" }
  lake_package     = { bucket = "t-artifacts", key = "lambda/lake.zip", hash = "aGFzaA==" }
}

run "by_default" {
  command = plan

  # Every topic has a queue and a dead-letter queue kept 14 days.
  assert {
    condition     = { for topic, queue in aws_sqs_queue.this : topic => queue.name } == { events = "ledgerlake-test-events", earthquakes = "ledgerlake-test-earthquakes" }
    error_message = "A queue's name is the prefix and the topic."
  }

  assert {
    condition     = { for topic, queue in aws_sqs_queue.dlq : topic => queue.name } == { events = "ledgerlake-test-events-dlq", earthquakes = "ledgerlake-test-earthquakes-dlq" }
    error_message = "A dead-letter queue's name is the queue's and -dlq."
  }

  assert {
    condition     = alltrue([for queue in aws_sqs_queue.dlq : queue.message_retention_seconds == 14 * 24 * 3600])
    error_message = "Dead letters must be kept for 14 days."
  }

  assert {
    condition     = alltrue([for queue in aws_sqs_queue.this : queue.visibility_timeout_seconds >= 6 * var.processor_timeout])
    error_message = "A message must stay hidden for six times the processor's timeout."
  }

  assert {
    condition     = alltrue([for topic, queue in aws_sqs_queue.this : jsondecode(queue.redrive_policy).maxReceiveCount == 5])
    error_message = "A message that fails five times goes to the dead-letter queue."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.dlq["events"].redrive_allow_policy).sourceQueueArns == ["arn:aws:sqs:eu-central-1:123456789012:ledgerlake-test-events"]
    error_message = "Only the topic's own queue may use its dead-letter queue."
  }

  # Queues take TLS only.
  assert {
    condition = alltrue([
      for queue in concat(values(aws_sqs_queue.this), values(aws_sqs_queue.dlq)) :
      one(jsondecode(queue.policy).Statement).Sid == "DenyInsecureTransport"
      && one(jsondecode(queue.policy).Statement).Resource == "arn:aws:sqs:eu-central-1:123456789012:${queue.name}"
    ])
    error_message = "Every queue's policy must deny plain http on that queue."
  }

  assert {
    condition     = alltrue([for queue in concat(values(aws_sqs_queue.this), values(aws_sqs_queue.dlq)) : queue.sqs_managed_sse_enabled])
    error_message = "Without a key, SQS's own keys encrypt."
  }

  # The processor reports the messages that failed.
  assert {
    condition = alltrue([
      for mapping in aws_lambda_event_source_mapping.queue :
      contains(mapping.function_response_types, "ReportBatchItemFailures") && mapping.batch_size == 500
    ]) && length(aws_lambda_event_source_mapping.queue) == 2
    error_message = "Each queue's mapping must report failures by message, or one bad message sends back a whole batch."
  }

  # Firehose writes to Iceberg through the transform.
  assert {
    condition     = one(aws_kinesis_firehose_delivery_stream.this.iceberg_configuration).catalog_arn == "arn:aws:glue:eu-central-1:123456789012:catalog"
    error_message = "The stream commits to the account's Glue catalogue."
  }

  assert {
    condition     = one(one(aws_kinesis_firehose_delivery_stream.this.iceberg_configuration).s3_configuration).error_output_prefix == "firehose-errors/"
    error_message = "What Firehose cannot write lies under firehose-errors/."
  }

  assert {
    condition     = one(one(one(aws_kinesis_firehose_delivery_stream.this.iceberg_configuration).processing_configuration).processors).type == "Lambda"
    error_message = "The transform routes each record to its table."
  }

  assert {
    condition = alltrue([
      for s in jsondecode(aws_iam_role_policy.firehose.policy).Statement :
      !contains(flatten([s.Resource]), "*") && !anytrue([for action in flatten([s.Action]) : endswith(action, ":*")])
    ])
    error_message = "Firehose's role names its actions and resources."
  }

  # The drainer runs every five minutes.
  assert {
    condition     = aws_scheduler_schedule.this["drain-dlq"].state == "ENABLED" && aws_scheduler_schedule.this["drain-dlq"].schedule_expression == "rate(5 minutes)"
    error_message = "Dead letters are drained every five minutes."
  }

  assert {
    condition     = aws_scheduler_schedule.this["load-firehose-errors"].state == "ENABLED" && aws_scheduler_schedule.this["load-firehose-errors"].schedule_expression == "rate(5 minutes)"
    error_message = "Firehose's errors are loaded every five minutes."
  }

  # A breaker may stop the processor's mappings and no others.
  assert {
    condition = alltrue([
      for s in local.breaker_statements : s.Condition.ArnEquals["lambda:FunctionArn"] == "arn:aws:lambda:eu-central-1:123456789012:function:ledgerlake-test-processor"
      if contains(s.Action, "lambda:UpdateEventSourceMapping")
    ])
    error_message = "Mappings of other functions are not the breaker's."
  }

  assert {
    condition     = [for s in local.breaker_statements : s.Sid if contains(flatten([s.Resource]), "*")] == ["FindMappings"]
    error_message = "Every statement but the listing names its resource."
  }

  # What is accepted is logged where the ledger looks and nowhere else.
  assert {
    condition     = [for s in local.take_statements : s.Resource if s.Sid == "LogWhatWasAccepted"] == ["arn:aws:s3:::t-ops/accepted/*"]
    error_message = "The processor writes the accept log, and nothing else, into the ops bucket."
  }
}

run "just_the_tls_statement_can_be_left_out" {
  command = plan

  variables {
    require_tls = false
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
  }

  assert {
    # The provider works out a policy where none is given; ours is the only one that would name a Sid.
    condition     = alltrue([for queue in concat(values(aws_sqs_queue.this), values(aws_sqs_queue.dlq)) : !strcontains(queue.policy, "DenyInsecureTransport")])
    error_message = "require_tls = false must leave the statement out."
  }

  assert {
    condition     = alltrue([for queue in concat(values(aws_sqs_queue.this), values(aws_sqs_queue.dlq)) : queue.kms_master_key_id == var.kms_key_arn])
    error_message = "The given key must encrypt every queue."
  }

  assert {
    condition     = one(aws_kinesis_firehose_delivery_stream.this.server_side_encryption).key_arn == var.kms_key_arn
    error_message = "The given key must encrypt the stream."
  }

  assert {
    condition     = contains([for s in jsondecode(aws_iam_role_policy.firehose.policy).Statement : s.Sid], "UseTheKey")
    error_message = "Firehose must be allowed to use the key."
  }
}

run "the_drainer_runs_by_schedule_or_by_hand" {
  command = plan

  variables {
    drain_enabled = false
  }

  assert {
    condition     = aws_scheduler_schedule.this["drain-dlq"].state == "DISABLED"
    error_message = "drain_enabled = false must stop the schedule."
  }

  assert {
    condition     = aws_scheduler_schedule.this["load-firehose-errors"].state == "DISABLED"
    error_message = "drain_enabled = false must stop the loading of Firehose's errors too."
  }
}

run "topics_that_are_no_longer_taken_are_probed_every_minute" {
  command = plan

  variables {
    drain_enabled = false
  }

  assert {
    condition     = aws_scheduler_schedule.this["probe-breakers"].state == "ENABLED" && aws_scheduler_schedule.this["probe-breakers"].schedule_expression == "rate(1 minute)"
    error_message = "Open circuit breakers are looked at every minute, whatever else is scheduled."
  }
}

run "limits_are_checked_before_aws_refuses_them" {
  command = plan

  variables {
    batch_size            = 0
    batching_window       = 0
    processor_concurrency = 1
    processor_timeout     = 5
    drain_timeout         = 1000
    drain_schedule        = "every five minutes"
    max_receive_count     = 0
    firehose_buffering    = { interval = 901, size = 200 }
  }

  expect_failures = [
    var.batch_size, var.batching_window, var.processor_concurrency, var.processor_timeout, var.drain_timeout,
    var.drain_schedule, var.max_receive_count, var.firehose_buffering,
  ]
}
