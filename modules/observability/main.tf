locals {
  alerts_arn           = "arn:${var.account.partition}:sns:${var.account.region}:${var.account.id}:${var.name}-alerts"
  failed_jobs_rule     = "${var.name}-failed-jobs"
  failed_jobs_rule_arn = "arn:${var.account.partition}:events:${var.account.region}:${var.account.id}:rule/${local.failed_jobs_rule}"
}

resource "aws_sns_topic" "alerts" {
  #checkov:skip=CKV_AWS_26:The key is the environment's choice, kms_key_arn; checkov sees its empty default

  name              = "${var.name}-alerts"
  kms_master_key_id = var.kms_key_arn == "" ? null : var.kms_key_arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "AlarmsMayPublish"
          Effect    = "Allow"
          Principal = { Service = "cloudwatch.amazonaws.com" }
          Action    = "sns:Publish"
          Resource  = local.alerts_arn
          Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
        },
        {
          Sid       = "FailedJobsMayPublish"
          Effect    = "Allow"
          Principal = { Service = "events.amazonaws.com" }
          Action    = "sns:Publish"
          Resource  = local.alerts_arn
          Condition = { ArnEquals = { "aws:SourceArn" = local.failed_jobs_rule_arn } }
        },
        {
          Sid       = "TheAccountMaySubscribeAndPublish"
          Effect    = "Allow"
          Principal = { AWS = "arn:${var.account.partition}:iam::${var.account.id}:root" }
          Action    = ["sns:Publish", "sns:Subscribe", "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic"]
          Resource  = local.alerts_arn
        },
      ],
      !var.require_tls ? [] : [{
        Sid       = "DenyInsecureTransport"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.alerts_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
    )
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.alert_emails

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "failed_cycles" {
  count = var.alarms_enabled ? 1 : 0

  alarm_name          = "${var.name}-failed-cycles"
  alarm_description   = "A cycle of ${var.name} failed, timed out or was stopped. docs/runbook.md says where to look."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]

  metric_query {
    id          = "failed"
    label       = "cycles that did not succeed"
    expression  = "SUM(METRICS())"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = ["ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"]

    content {
      id = lower(metric_query.value)

      metric {
        namespace   = "AWS/States"
        metric_name = metric_query.value
        dimensions  = { StateMachineArn = var.state_machine_arn }
        period      = 300
        stat        = "Sum"
      }
    }
  }
}

# A cycle's jobs make their cycle fail, and who starts one by hand sees how it ends. These run while nobody looks.
resource "aws_cloudwatch_event_rule" "failed_jobs" {
  count = var.alarms_enabled ? 1 : 0

  name        = local.failed_jobs_rule
  description = "A job of ${var.name} that nobody waits for failed or ran out of time."
  event_pattern = jsonencode({
    source      = ["aws.glue"]
    detail-type = ["Glue Job State Change"]
    detail      = { jobName = sort(tolist(var.unattended_jobs)), state = ["FAILED", "TIMEOUT"] }
  })
}

resource "aws_cloudwatch_event_target" "failed_jobs" {
  count = var.alarms_enabled ? 1 : 0

  rule = aws_cloudwatch_event_rule.failed_jobs[0].name
  arn  = aws_sns_topic.alerts.arn

  input_transformer {
    input_paths    = { job = "$.detail.jobName", state = "$.detail.state", run = "$.detail.jobRunId", message = "$.detail.message" }
    input_template = "\"Glue job <job> ended <state> (run <run>): <message>. docs/runbook.md: A job failed.\""
  }
}

# An alarm reads at most ten metrics, its own sum among them, so nine topics share one: every queue is watched, by few alarms.
resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = var.alarms_enabled ? { for number, topics in chunklist(sort(tolist(var.topics)), 9) : format("%02d", number) => topics } : {}

  alarm_name          = "${var.name}-dead-letters-${each.key}"
  alarm_description   = "Messages lie in a dead-letter queue of: ${join(", ", each.value)}."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]

  metric_query {
    id          = "dead"
    label       = "messages in dead-letter queues"
    expression  = "SUM(METRICS())"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value

    content {
      id    = "q${metric_query.key}"
      label = metric_query.value

      metric {
        namespace   = "AWS/SQS"
        metric_name = "ApproximateNumberOfMessagesVisible"
        dimensions  = { QueueName = "${var.queue_prefix}${metric_query.value}-dlq" }
        period      = 300
        stat        = "Maximum"
      }
    }
  }
}

# What ledgerlake counts itself, and how much of it is too much within five minutes.
locals {
  own_alarms = {
    # Of all topics, the worst: ledgerlake.ops.variance publishes it after each look at the ledger.
    variance = {
      metric     = "VariancePercent"
      statistic  = "Maximum"
      above      = var.variance_alarm_percent
      dimensions = { environment = var.environment }
      says       = "More than ${var.variance_alarm_percent} % of a topic's messages are missing or stand twice; ops.reconciliation_log names them. docs/runbook.md: The ledger does not balance."
    }
    # Rows that the cycle's batches have in ops.drift_log, over all topics: ledgerlake.handlers.reconcile publishes it.
    drift = {
      metric     = "Drift"
      statistic  = "Sum"
      above      = 0
      dimensions = { environment = var.environment }
      says       = "A topic of ${var.name} brought what its tables did not know, or no longer brings a column; ledgerlake drift shows it. docs/runbook.md: Payloads drift."
    }
    refused-files = {
      metric     = "ObjectsRefused"
      statistic  = "Sum"
      above      = 0
      dimensions = { service = "${var.name}-ingest" }
      says       = "A file in the landing bucket of ${var.name} was not ingested; ledgerlake errors names it. docs/runbook.md: A file was refused."
    }
    misplaced-contracts = {
      metric     = "ContractsMisplaced"
      statistic  = "Sum"
      above      = 0
      dimensions = { service = "${var.name}-publish-contract" }
      says       = "A contract was put under schemas/ of ${var.name} where no topic's lies; the log of publish_contract names its key. docs/runbook.md: A contract failed."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "own" {
  for_each = { for alarm, of in local.own_alarms : alarm => of if var.alarms_enabled && (alarm != "drift" || var.drift_alarm_enabled) }

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.says
  namespace           = "ledgerlake"
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  period              = 300
  evaluation_periods  = 1
  statistic           = each.value.statistic
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
}
