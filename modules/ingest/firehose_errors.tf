# What Firehose could not deliver into RAW, beside what the queues gave up.
module "load_firehose_errors" {
  source = "../function"

  name               = "${var.name}-load-firehose-errors"
  description        = "Loads what lies under Firehose's error prefix into RAW firehose_errors, each object once."
  handler            = "ledgerlake.handlers.load_firehose_errors.handle"
  package            = var.lake_package
  architecture       = var.architecture
  settings           = var.settings
  memory_size        = 2048 # an error object can hold a whole buffer of the stream, in base64
  timeout            = var.drain_timeout
  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  account            = var.account

  statements_json = jsonencode([
    {
      Sid      = "ReadErrors"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = "${local.bucket_arns.raw}/${local.firehose_error_prefix}*"
    },
    {
      Sid    = "CommitToRaw"
      Effect = "Allow"
      Action = ["glue:GetDatabase", "glue:GetTable", "glue:UpdateTable"]
      Resource = [
        "${local.glue_arn}:catalog",
        "${local.glue_arn}:database/${var.raw_database}",
        "${local.glue_arn}:table/${var.raw_database}/firehose_errors",
      ]
    },
    {
      Sid      = "WriteFirehoseErrors"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
      Resource = "${local.bucket_arns.raw}/firehose_errors/*"
    },
    {
      Sid      = "SeeFiles"
      Effect   = "Allow"
      Action   = ["s3:ListBucket"]
      Resource = local.bucket_arns.raw
    },
  ])
}
