# Contracts: a file under schemas/<topic>/pending/ becomes the active contract, and its tables are made or evolved.
module "publish_contract" {
  source = "../function"

  name                  = "${var.name}-publish-contract"
  description           = "Validates a pending contract, makes or evolves its tables, and activates it or says why not."
  handler               = "ledgerlake.handlers.publish_contract.handle"
  package               = var.lake_package
  architecture          = var.architecture
  settings              = var.settings
  memory_size           = 1024
  timeout               = 300
  log_retention_days    = var.log_retention_days
  kms_key_arn           = var.kms_key_arn
  called_asynchronously = true
  on_failure_topic_arn  = var.alerts_topic_arn
  account               = var.account

  statements_json = jsonencode(concat(
    local.make_tables,
    [
      {
        Sid      = "MoveContracts"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource = "${local.bucket_arns.contracts}/schemas/*"
      },
      {
        Sid      = "SeeContracts"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource = local.bucket_arns.contracts
      },
      {
        Sid      = "OpenTheGate"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.this["processing_enabled"].arn
      },
      {
        # A first contract that died half-way may have left a table, never written, that the next one wants otherwise.
        Sid    = "DropUnwrittenTables"
        Effect = "Allow"
        Action = "glue:DeleteTable"
        Resource = [
          "${local.glue_arn}:catalog",
          "${local.glue_arn}:database/${var.databases.curated}",
          "${local.glue_arn}:table/${var.databases.curated}/*",
        ]
      },
      {
        Sid      = "TakeTurns"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
        Resource = [aws_dynamodb_table.this["locks"].arn, aws_dynamodb_table.this["checkpoints"].arn]
      },
    ],
  ))
}

resource "aws_lambda_permission" "contracts_bucket" {
  statement_id   = "contracts-bucket"
  action         = "lambda:InvokeFunction"
  function_name  = module.publish_contract.name
  principal      = "s3.amazonaws.com"
  source_arn     = local.bucket_arns.contracts
  source_account = var.account.id
}

resource "aws_s3_bucket_notification" "contracts" {
  bucket = aws_s3_bucket.this["contracts"].id

  lambda_function {
    id                  = "publish-contract"
    lambda_function_arn = module.publish_contract.arn
    events              = ["s3:ObjectCreated:*"]
    filter_prefix       = "schemas/"
    filter_suffix       = "/pending/schema.json"
  }

  depends_on = [aws_lambda_permission.contracts_bucket]
}
