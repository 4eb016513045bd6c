# The ledger beside the cycles: a recent window of all topics every hour, and everything once a day.
locals {
  # What a comparison by identity reads beyond metadata, and where it says how much is missing.
  reconcile_statements = [
    {
      Sid      = "ReadRows"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = [for layer in ["raw", "standardized", "curated"] : "${local.bucket_arns[layer]}/*"]
    },
    {
      Sid       = "PublishVariance"
      Effect    = "Allow"
      Action    = ["cloudwatch:PutMetricData"]
      Resource  = "*" # CloudWatch knows no resource here; the condition narrows it
      Condition = { StringEquals = { "cloudwatch:namespace" = "ledgerlake" } }
    },
  ]

  reconcile_schedules = {
    for name, schedule in {
      reconcile-window = {
        description = "Checks what came lately to all topics."
        expression  = var.reconciliation.schedule
        enabled     = var.reconciliation.schedule_enabled
        target      = module.reconcile_window.arn
        input       = {}
      }
      reconcile-full = {
        description = "Checks all that the tables hold."
        expression  = var.reconciliation.full_schedule
        enabled     = var.reconciliation.full_enabled
        target      = "arn:${var.account.partition}:scheduler:::aws-sdk:glue:startJobRun"
        input = {
          JobName   = "${var.name}-reconcile"
          Arguments = { "--request" = "s3://${var.buckets.ops}/requests/reconcile/scheduled.json" }
        }
      }
    } : name => schedule if schedule.enabled
  }
}

module "reconcile_window" {
  source = "../function"

  name               = "${var.name}-reconcile-window"
  description        = "Compares what came lately, to whatever topic, with where it stands."
  handler            = "ledgerlake.handlers.reconcile_window.handle"
  package            = var.lake_package
  architecture       = var.architecture
  settings           = var.settings
  memory_size        = 2048
  timeout            = 900
  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  account            = var.account

  statements_json = jsonencode(concat(
    [local.read_catalog, local.read_metadata, local.see_buckets],
    local.keep_books,
    local.reconcile_statements,
  ))
}

resource "aws_iam_role" "reconcile_schedule" {
  count = length(local.reconcile_schedules) > 0 ? 1 : 0

  name        = "${var.name}-reconcile-schedule"
  description = "Lets the scheduler start the reconciliations of ${var.name}, and nothing else."

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

resource "aws_iam_role_policy" "reconcile_schedule" {
  count = length(local.reconcile_schedules) > 0 ? 1 : 0

  name = "own"
  role = aws_iam_role.reconcile_schedule[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "CheckTheWindow"
          Effect   = "Allow"
          Action   = ["lambda:InvokeFunction"]
          Resource = module.reconcile_window.arn
        },
        {
          Sid      = "CheckEverything"
          Effect   = "Allow"
          Action   = ["glue:StartJobRun"]
          Resource = "${local.glue_arn}:job/${var.name}-reconcile"
        },
      ],
      local.use_the_key,
    )
  })
}

resource "aws_scheduler_schedule" "reconcile" {
  #checkov:skip=CKV_AWS_297:The key is the environment's choice, kms_key_arn; checkov sees its empty default

  for_each = local.reconcile_schedules

  name                = "${var.name}-${each.key}"
  description         = each.value.description
  schedule_expression = each.value.expression
  kms_key_arn         = var.kms_key_arn == "" ? null : var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = each.value.target
    role_arn = aws_iam_role.reconcile_schedule[0].arn
    input    = jsonencode(each.value.input)

    retry_policy {
      maximum_retry_attempts       = 2
      maximum_event_age_in_seconds = 600
    }
  }
}
