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
