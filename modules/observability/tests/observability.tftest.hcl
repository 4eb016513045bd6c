mock_provider "aws" {
  override_during = plan

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:mocked" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:mocked" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:ledgerlake-test-alerts" }
  }
}

variables {
  name = "ledgerlake-test"
  account = {
    id        = "123456789012"
    region    = "eu-central-1"
    partition = "aws"
  }

  topics            = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
  queue_prefix      = "ledgerlake-test-"
  environment       = "ledgerlake_test"
  unattended_jobs   = ["ledgerlake-test-reconcile", "ledgerlake-test-rebuild"]
  state_machine_arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:ledgerlake-test-cycle"
}

run "by_default" {
  command = plan

  # Alarms watch failed cycles and every dead-letter queue.
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.failed_cycles) == 1
    error_message = "Failed cycles must raise an alarm."
  }

  assert {
    condition = toset(flatten([
      for alarm in aws_cloudwatch_metric_alarm.dead_letters : [
        for query in alarm.metric_query : [for metric in query.metric : metric.dimensions.QueueName]
      ]
    ])) == toset([for topic in var.topics : "ledgerlake-test-${topic}-dlq"])
    error_message = "Every topic's dead-letter queue must be watched."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.dead_letters : length(alarm.metric_query) <= 10])
    error_message = "CloudWatch takes at most ten metrics in an alarm."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.dead_letters : alarm.alarm_actions == toset([aws_sns_topic.alerts.arn])])
    error_message = "Alarms go to the alerts topic."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.own : alarm.alarm_actions == toset([aws_sns_topic.alerts.arn])])
    error_message = "Alarms go to the alerts topic."
  }

  # A ledger that does not balance raises an alarm above one percent.
  assert {
    condition = alltrue([
      aws_cloudwatch_metric_alarm.own["variance"].threshold == 1,
      aws_cloudwatch_metric_alarm.own["variance"].dimensions == tomap({ environment = "ledgerlake_test" }),
      aws_cloudwatch_metric_alarm.own["variance"].metric_name == "VariancePercent",
    ])
    error_message = "The environment's own variance is watched."
  }

  # A refused file raises an alarm.
  assert {
    condition     = aws_cloudwatch_metric_alarm.own["refused-files"].threshold == 0 && aws_cloudwatch_metric_alarm.own["refused-files"].dimensions == tomap({ service = "ledgerlake-test-ingest" })
    error_message = "Files that this environment refused are watched."
  }

  # A misplaced contract raises an alarm.
  assert {
    condition     = aws_cloudwatch_metric_alarm.own["misplaced-contracts"].dimensions == tomap({ service = "ledgerlake-test-publish-contract" })
    error_message = "Contracts that this environment could not place are watched."
  }

  # A job that nobody waits for is reported when it fails.
  assert {
    condition = alltrue([
      jsondecode(aws_cloudwatch_event_rule.failed_jobs[0].event_pattern).detail == {
        jobName = ["ledgerlake-test-rebuild", "ledgerlake-test-reconcile"]
        state   = ["FAILED", "TIMEOUT"]
      },
      aws_cloudwatch_event_target.failed_jobs[0].arn == aws_sns_topic.alerts.arn,
      [
        for s in jsondecode(aws_sns_topic.alerts.policy).Statement : s.Condition.ArnEquals["aws:SourceArn"] if s.Sid == "FailedJobsMayPublish"
      ] == ["arn:aws:events:eu-central-1:123456789012:rule/${aws_cloudwatch_event_rule.failed_jobs[0].name}"],
    ])
    error_message = "The rule must name the jobs and be allowed to publish alerts."
  }

  # Drift raises no alarm unless that is asked for.
  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.own), "drift")
    error_message = "New fields are no alarm by default."
  }

  # Alerts are published over TLS only.
  assert {
    condition     = contains([for s in jsondecode(aws_sns_topic.alerts.policy).Statement : s.Sid], "DenyInsecureTransport")
    error_message = "The topic's policy must deny plain http."
  }

  assert {
    condition     = aws_sns_topic.alerts.kms_master_key_id == null && length(aws_sns_topic_subscription.email) == 0
    error_message = "No key and no subscriber by default."
  }
}

run "the_variance_from_which_an_alarm_is_raised_can_be_chosen" {
  command = plan

  variables {
    variance_alarm_percent = 0
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.own["variance"].threshold == 0
    error_message = "variance_alarm_percent must reach the alarm."
  }
}

run "a_variance_is_at_most_all_of_it" {
  command         = plan
  expect_failures = [var.variance_alarm_percent]

  variables {
    variance_alarm_percent = 100
  }
}

run "drift_can_raise_an_alarm" {
  command = plan

  variables {
    drift_alarm_enabled = true
  }

  assert {
    condition = alltrue([
      aws_cloudwatch_metric_alarm.own["drift"].threshold == 0,
      aws_cloudwatch_metric_alarm.own["drift"].dimensions == tomap({ environment = "ledgerlake_test" }),
      aws_cloudwatch_metric_alarm.own["drift"].metric_name == "Drift",
    ])
    error_message = "The environment's own drift is watched."
  }
}

run "alarms_can_be_left_out" {
  command = plan

  variables {
    alarms_enabled      = false
    drift_alarm_enabled = true
  }

  assert {
    condition = length(concat(
      aws_cloudwatch_metric_alarm.failed_cycles,
      values(aws_cloudwatch_metric_alarm.dead_letters),
      values(aws_cloudwatch_metric_alarm.own),
      aws_cloudwatch_event_rule.failed_jobs,
      aws_cloudwatch_event_target.failed_jobs,
    )) == 0
    error_message = "alarms_enabled = false must leave no alarm."
  }
}

run "just_the_tls_statement_can_be_left_out" {
  command = plan

  variables {
    require_tls  = false
    kms_key_arn  = "arn:aws:kms:eu-central-1:123456789012:key/k"
    alert_emails = ["oncall@example.org"]
  }

  assert {
    condition     = [for s in jsondecode(aws_sns_topic.alerts.policy).Statement : s.Sid] == ["AlarmsMayPublish", "FailedJobsMayPublish", "TheAccountMaySubscribeAndPublish"]
    error_message = "require_tls = false must leave the other statements as they are."
  }

  assert {
    condition     = aws_sns_topic.alerts.kms_master_key_id == var.kms_key_arn
    error_message = "The alerts must be encrypted with the given key."
  }

  assert {
    condition     = aws_sns_topic_subscription.email["oncall@example.org"].protocol == "email"
    error_message = "Each address gets a subscription."
  }
}

run "a_rule_for_no_job_would_be_one_for_all" {
  command         = plan
  expect_failures = [var.unattended_jobs]

  variables {
    unattended_jobs = []
  }
}
