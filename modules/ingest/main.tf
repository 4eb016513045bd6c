locals {
  arn_tail     = "${var.account.region}:${var.account.id}"
  sqs_arn      = "arn:${var.account.partition}:sqs:${local.arn_tail}"
  glue_arn     = "arn:${var.account.partition}:glue:${local.arn_tail}"
  lambda_arn   = "arn:${var.account.partition}:lambda:${local.arn_tail}:function"
  firehose_arn = "arn:${var.account.partition}:firehose:${local.arn_tail}:deliverystream/${var.firehose_name}"
  bucket_arns  = { for purpose, bucket in var.buckets : purpose => "arn:${var.account.partition}:s3:::${bucket}" }

  # By pattern, not by queue: the policy must not grow with the topics.
  any_queue = "${local.sqs_arn}:${var.queue_prefix}*"
  any_dlq   = "${local.sqs_arn}:${var.queue_prefix}*-dlq"

  table_arn = "arn:${var.account.partition}:dynamodb:${local.arn_tail}:table"

  processor_name = "${var.name}-processor"
  transform_name = "${var.name}-firehose-transform"

  firehose_error_prefix = "firehose-errors/"

  # What a function may do that takes messages off topic queues.
  take_statements = [
    {
      Sid    = "TakeMessages"
      Effect = "Allow"
      Action = [
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
      ]
      Resource = local.any_queue
    },
    {
      Sid      = "SetAsideBrokenOnes"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = local.any_dlq
    },
    {
      Sid      = "ForwardTheRest"
      Effect   = "Allow"
      Action   = ["firehose:PutRecordBatch"]
      Resource = local.firehose_arn
    },
    {
      Sid      = "LogWhatWasAccepted"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = "${local.bucket_arns.ops}/accepted/*"
    },
  ]
}

# Topic queues to Firehose.
module "processor" {
  source = "../function"

  name               = local.processor_name
  description        = "Forwards a topic's messages to Firehose; broken envelopes go to the topic's dead-letter queue."
  handler            = "ledgerlake.handlers.processor.handle"
  package            = var.light_package
  architecture       = var.architecture
  settings           = var.settings
  memory_size        = 512
  timeout            = var.processor_timeout
  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  account            = var.account

  statements_json = jsonencode(concat(local.take_statements, local.breaker_statements))
}

resource "aws_lambda_event_source_mapping" "queue" {
  for_each = var.topics

  event_source_arn                   = aws_sqs_queue.this[each.value].arn
  function_name                      = module.processor.arn
  batch_size                         = var.batch_size
  maximum_batching_window_in_seconds = var.batching_window
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.processor_concurrency
  }

  # The circuit breaker disables and enables it; an apply must neither open nor close one.
  lifecycle {
    ignore_changes = [enabled]
  }
}

# Files to topic queues.
module "ingest" {
  source = "../function"

  name                  = "${var.name}-ingest"
  description           = "Sends each record of a landed file to its topic's queue, once per version of the file."
  handler               = "ledgerlake.handlers.ingest.handle"
  package               = var.light_package
  architecture          = var.architecture
  settings              = var.settings
  memory_size           = 1024
  timeout               = 900
  log_retention_days    = var.log_retention_days
  kms_key_arn           = var.kms_key_arn
  called_asynchronously = true
  on_failure_topic_arn  = var.alerts_topic_arn
  account               = var.account

  statements_json = jsonencode([
    {
      Sid      = "ReadFiles"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:GetObjectVersion"]
      Resource = "${local.bucket_arns.landing}/*"
    },
    {
      # Without it a missing object is "access denied" instead of "not found".
      Sid      = "SeeFiles"
      Effect   = "Allow"
      Action   = ["s3:ListBucket", "s3:ListBucketVersions"]
      Resource = local.bucket_arns.landing
    },
    {
      Sid      = "SendRecords"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
      Resource = local.any_queue
    },
    {
      Sid    = "RememberFiles"
      Effect = "Allow"
      Action = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
      Resource = [
        for table in [var.dynamodb_tables.idempotency_keys, var.dynamodb_tables.file_registry] : "${local.table_arn}/${table}"
      ]
    },
  ])
}

resource "aws_lambda_permission" "landing_bucket" {
  statement_id   = "landing-bucket"
  action         = "lambda:InvokeFunction"
  function_name  = module.ingest.name
  principal      = "s3.amazonaws.com"
  source_arn     = local.bucket_arns.landing
  source_account = var.account.id
}

resource "aws_s3_bucket_notification" "landing" {
  bucket = var.buckets.landing

  lambda_function {
    id                  = "ingest"
    lambda_function_arn = module.ingest.arn
    events              = ["s3:ObjectCreated:*"]
  }

  depends_on = [aws_lambda_permission.landing_bucket]
}
