# The tables themselves are defined in the wheel, once; Terraform only has them made, at every apply that changes what they are.
locals {
  bucket_arns = { for purpose, bucket in var.buckets : purpose => "arn:${var.account.partition}:s3:::${bucket}" }
  glue_arn    = "arn:${var.account.partition}:glue:${var.account.region}:${var.account.id}"

  make_tables = [
    {
      Sid    = "MakeTables"
      Effect = "Allow"
      Action = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:CreateTable", "glue:UpdateTable"]
      Resource = concat(
        ["${local.glue_arn}:catalog"],
        [for database in values(var.databases) : "${local.glue_arn}:database/${database}"],
        [for database in values(var.databases) : "${local.glue_arn}:table/${database}/*"],
      )
    },
    {
      Sid      = "WriteTables"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
      Resource = [for layer in keys(var.databases) : "${local.bucket_arns[layer]}/*"]
    },
    {
      Sid      = "SeeTables"
      Effect   = "Allow"
      Action   = "s3:ListBucket"
      Resource = [for layer in keys(var.databases) : local.bucket_arns[layer]]
    },
  ]
}

module "ensure_tables" {
  source = "../function"

  name               = "${var.name}-ensure-tables"
  description        = "Makes the tables that every environment has, and those of each topic, or brings them up to date."
  handler            = "ledgerlake.handlers.ensure_tables.handle"
  package            = var.lake_package
  architecture       = var.architecture
  settings           = var.settings
  memory_size        = 1024
  timeout            = 900
  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  account            = var.account
  statements_json    = jsonencode(local.make_tables)
}

resource "aws_lambda_invocation" "ensure_tables" {
  function_name = module.ensure_tables.name
  input         = jsonencode({ topics = sort(tolist(var.topics)) })

  # New code may define new columns or tables.
  triggers = {
    code = module.ensure_tables.source_code_hash
  }

  depends_on = [
    aws_glue_catalog_database.this,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_public_access_block.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}
