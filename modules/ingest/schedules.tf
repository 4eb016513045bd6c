# What is called by the clock. A call that fails is not repeated: the next tick comes soon enough.
locals {
  schedules = {
    drain-dlq = {
      description = "Drains the dead-letter queues into RAW dlq_errors."
      function    = module.drain_dlq.arn
      expression  = var.drain_schedule
      enabled     = var.drain_enabled
    }
    load-firehose-errors = {
      description = "Loads Firehose's errors into RAW firehose_errors."
      function    = module.load_firehose_errors.arn
      expression  = var.drain_schedule
      enabled     = var.drain_enabled
    }
    probe-breakers = {
      description = "Looks whether topics that are no longer taken can be taken again."
      function    = module.probe_breakers.arn
      expression  = "rate(1 minute)"
      enabled     = true # also where no breaker opens by itself: it closes those that did
    }
  }
}

resource "aws_iam_role" "schedules" {
  name        = "${var.name}-schedules"
  description = "Lets the scheduler call the scheduled functions of ${var.name}, and nothing else."

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

resource "aws_iam_role_policy" "schedules" {
  name = "own"
  role = aws_iam_role.schedules.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = [for schedule in local.schedules : schedule.function]
    }]
  })
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:The key is the environment's choice, kms_key_arn; checkov sees its empty default

  for_each = local.schedules

  name                = "${var.name}-${each.key}"
  description         = each.value.description
  schedule_expression = each.value.expression
  state               = each.value.enabled ? "ENABLED" : "DISABLED"
  kms_key_arn         = var.kms_key_arn == "" ? null : var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = each.value.function
    role_arn = aws_iam_role.schedules.arn
    input    = "{}"

    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 60
    }
  }
}
