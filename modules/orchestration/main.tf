locals {
  arn_tail    = "${var.account.region}:${var.account.id}"
  glue_arn    = "arn:${var.account.partition}:glue:${local.arn_tail}"
  lambda_arn  = "arn:${var.account.partition}:lambda:${local.arn_tail}:function"
  bucket_arns = { for purpose, bucket in var.buckets : purpose => "arn:${var.account.partition}:s3:::${bucket}" }
  table_arns = {
    for purpose, table in var.dynamodb_tables :
    purpose => "arn:${var.account.partition}:dynamodb:${local.arn_tail}:table/${table}"
  }

  # The key's use, for every role here that is not a function's own.
  use_the_key = var.kms_key_arn == "" ? [] : [{
    Sid      = "UseTheKey"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = var.kms_key_arn
  }]

  # Steps are tried again where Lambda, the network or their process failed them, or they say so (TransientError), not where they said
  # no; each finds what an earlier try wrote. A run is tried again only where it never began. One that failed, timed out or was stopped
  # is the next cycle's to finish: the dead run's locks stand for up to five minutes, and a second try would skip its topics and hide
  # the failure. The alert is the last that anybody hears of a cycle: it is tried again whatever the reason.
  retries = jsondecode(file("${path.module}/retries.json"))
}

resource "aws_cloudwatch_log_group" "cycle" {
  #checkov:skip=CKV_AWS_158:The key is the environment's choice, kms_key_arn; checkov sees its empty default

  # Step Functions needs this beginning, or its access to the group counts towards a small limit.
  name              = "/aws/vendedlogs/states/${var.name}-cycle"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn == "" ? null : var.kms_key_arn
}

resource "aws_sfn_state_machine" "cycle" {
  #checkov:skip=CKV_AWS_284:The execution history and ops.job_run_history tell what happened; a trace would add cost and no answer

  name     = "${var.name}-cycle"
  role_arn = aws_iam_role.cycle.arn

  definition = templatefile("${path.module}/cycle.asl.json.tftpl", {
    name                = var.name
    partition           = var.account.partition
    alerts_topic_arn    = var.alerts_topic_arn
    max_concurrent_runs = var.max_concurrent_runs
    run_timeout_seconds = 60 * (var.glue.timeout_minutes + 15)
    retries             = { for what, policy in local.retries : what => jsonencode(policy) }
    glue_jobs           = { for stage, job in aws_glue_job.this : stage => job.name }
    lambdas             = { for name, function in module.step : name => function.arn }
  })

  logging_configuration {
    log_destination        = "${aws_cloudwatch_log_group.cycle.arn}:*"
    include_execution_data = true
    level                  = "ERROR"
  }

  dynamic "encryption_configuration" {
    for_each = var.kms_key_arn == "" ? [] : [var.kms_key_arn]

    content {
      kms_key_id                        = encryption_configuration.value
      type                              = "CUSTOMER_MANAGED_KMS_KEY"
      kms_data_key_reuse_period_seconds = 300
    }
  }

  depends_on = [aws_iam_role_policy.cycle]
}

resource "aws_iam_role" "cycle" {
  name        = "${var.name}-cycle"
  description = "What a cycle of ${var.name} may do, and nothing else."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "states.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "cycle" {
  name = "own"
  role = aws_iam_role.cycle.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "CallSteps"
          Effect   = "Allow"
          Action   = ["lambda:InvokeFunction"]
          Resource = [for name in keys(local.steps) : "${local.lambda_arn}:${var.name}-${replace(name, "_", "-")}"]
        },
        {
          Sid      = "RunJobs"
          Effect   = "Allow"
          Action   = ["glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun"]
          Resource = [for stage in local.stages : "${local.glue_arn}:job/${var.name}-${stage}"]
        },
        {
          Sid      = "RaiseAlerts"
          Effect   = "Allow"
          Action   = ["sns:Publish"]
          Resource = var.alerts_topic_arn
        },
        {
          # Step Functions' log delivery knows no narrower resource for these.
          Sid    = "DeliverLogs"
          Effect = "Allow"
          Action = [
            "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
            "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
          ]
          Resource = "*"
        },
      ],
      local.use_the_key,
    )
  })
}
