# A topic whose messages keep failing is no longer taken: its queue's mapping is disabled until a probe succeeds.
locals {
  # What both need that open or close a breaker. The mappings' ids are not known here, the function they call is.
  breaker_statements = [
    {
      Sid      = "KnowBreakers"
      Effect   = "Allow"
      Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
      Resource = "${local.table_arn}/${var.dynamodb_tables.circuit_breakers}"
    },
    {
      Sid      = "FindMappings"
      Effect   = "Allow"
      Action   = ["lambda:ListEventSourceMappings"]
      Resource = "*" # Lambda knows no narrower resource for this action
    },
    {
      Sid       = "StopAndStartTopics"
      Effect    = "Allow"
      Action    = ["lambda:UpdateEventSourceMapping"]
      Resource  = "arn:${var.account.partition}:lambda:${local.arn_tail}:event-source-mapping:*"
      Condition = { ArnEquals = { "lambda:FunctionArn" = "${local.lambda_arn}:${local.processor_name}" } }
    },
    {
      Sid      = "Alert"
      Effect   = "Allow"
      Action   = ["sns:Publish"]
      Resource = var.alerts_topic_arn
    },
  ]
}

module "probe_breakers" {
  source = "../function"

  name               = "${var.name}-probe-breakers"
  description        = "Tries a few messages of each topic that is no longer taken, and takes it again when they fare well."
  handler            = "ledgerlake.handlers.probe_breakers.handle"
  package            = var.light_package
  architecture       = var.architecture
  settings           = var.settings
  memory_size        = 512
  timeout            = 120 # a probe's claim outlives it, see ledgerlake.ops.probe
  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  account            = var.account

  statements_json = jsonencode(concat(local.take_statements, local.breaker_statements, [{
    Sid      = "FindOpenBreakers"
    Effect   = "Allow"
    Action   = ["dynamodb:Scan", "dynamodb:DeleteItem"]
    Resource = "${local.table_arn}/${var.dynamodb_tables.circuit_breakers}"
  }]))
}
