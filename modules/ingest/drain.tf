# Dead-letter queues into RAW, where they can be looked at and replayed for years.
module "drain_dlq" {
  source = "../function"

  name               = "${var.name}-drain-dlq"
  description        = "Writes what lies in the dead-letter queues to RAW dlq_errors, and takes it off the queues after that."
  handler            = "ledgerlake.handlers.drain_dlq.handle"
  package            = var.lake_package
  architecture       = var.architecture
  settings           = var.settings
  memory_size        = 1024
  timeout            = var.drain_timeout
  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  account            = var.account

  statements_json = jsonencode([
    {
      Sid      = "FindQueues"
      Effect   = "Allow"
      Action   = ["sqs:ListQueues"]
      Resource = "*" # SQS knows no narrower resource for this action
    },
    {
      Sid      = "TakeDeadLetters"
      Effect   = "Allow"
      Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
      Resource = local.any_dlq
    },
    {
      Sid    = "CommitToRaw"
      Effect = "Allow"
      Action = ["glue:GetDatabase", "glue:GetTable", "glue:UpdateTable"]
      Resource = [
        "${local.glue_arn}:catalog",
        "${local.glue_arn}:database/${var.raw_database}",
        "${local.glue_arn}:table/${var.raw_database}/dlq_errors",
      ]
    },
    {
      Sid      = "WriteDlqErrors"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
      Resource = "${local.bucket_arns.raw}/dlq_errors/*"
    },
    {
      Sid      = "SeeFiles"
      Effect   = "Allow"
      Action   = ["s3:ListBucket"]
      Resource = local.bucket_arns.raw
    },
  ])
}

resource "aws_iam_role" "drain_schedule" {
  name        = "${var.name}-drain-schedule"
  description = "Lets the scheduler call ${var.name}-drain-dlq, and nothing else."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "drain_schedule" {
  name = "own"
  role = aws_iam_role.drain_schedule.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = module.drain_dlq.arn
    }]
  })
}

resource "aws_scheduler_schedule" "drain" {
  #checkov:skip=CKV_AWS_297:The key is the environment's choice, kms_key_arn; checkov sees its empty default

  name                = "${var.name}-drain-dlq"
  description         = "Drains the dead-letter queues into RAW dlq_errors."
  schedule_expression = var.drain_schedule
  state               = var.drain_enabled ? "ENABLED" : "DISABLED"
  kms_key_arn         = var.kms_key_arn == "" ? null : var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.drain_dlq.arn
    role_arn = aws_iam_role.drain_schedule.arn
    input    = "{}"

    retry_policy {
      maximum_retry_attempts       = 0 # the next tick comes soon enough
      maximum_event_age_in_seconds = 60
    }
  }
}
