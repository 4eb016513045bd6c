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
}

variables {
  name            = "ledgerlake-test-processor"
  description     = "Forwards messages."
  handler         = "ledgerlake.handlers.processor.handle"
  package         = { bucket = "artifacts", key = "lambda/light.zip", hash = "aGFzaA==" }
  settings        = "{}"
  statements_json = "[{\"Sid\":\"ForwardTheRest\",\"Effect\":\"Allow\",\"Action\":\"firehose:PutRecordBatch\",\"Resource\":\"arn:aws:firehose:eu-central-1:123456789012:deliverystream/raw\"}]"
  account         = { id = "123456789012", region = "eu-central-1", partition = "aws" }
}

run "by_default" {
  command = plan

  # A role allows its own logs and what it was given.
  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid] == ["WriteOwnLogs", "ForwardTheRest"]
    error_message = "The role's policy must hold the function's own logs and the given statements, and nothing else."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[0].Resource == "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/ledgerlake-test-processor:*"
    error_message = "A function may write to its own log group only."
  }

  assert {
    condition     = aws_lambda_function.this.environment[0].variables.LEDGERLAKE_SETTINGS == "{}"
    error_message = "A function gets the settings document by LEDGERLAKE_SETTINGS."
  }

  assert {
    condition     = aws_lambda_function.this.runtime == "python3.11" && aws_lambda_function.this.architectures == tolist(["arm64"])
    error_message = "Functions run Python 3.11 on arm64 by default."
  }

  assert {
    condition     = aws_lambda_function.this.kms_key_arn == null && aws_cloudwatch_log_group.this.kms_key_id == null
    error_message = "Without a key, AWS's own keys are used."
  }

  # Without asynchronous calls there is nothing to report.
  assert {
    condition     = length(aws_lambda_function_event_invoke_config.this) == 0
    error_message = "Other callers see the failure themselves."
  }
}

run "a_key_is_used_for_logs_and_environment_and_may_be_used" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
  }

  assert {
    condition     = aws_lambda_function.this.kms_key_arn == var.kms_key_arn && aws_cloudwatch_log_group.this.kms_key_id == var.kms_key_arn
    error_message = "Logs and environment must be encrypted with the given key."
  }

  assert {
    condition     = one([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Resource if s.Sid == "UseTheKey"]) == var.kms_key_arn
    error_message = "The role must be allowed to use the key, and that key only."
  }
}

run "a_call_that_nobody_waits_for_reports_its_failure" {
  command = plan

  variables {
    called_asynchronously = true
    on_failure_topic_arn  = "arn:aws:sns:eu-central-1:123456789012:alerts"
  }

  assert {
    condition     = one(one(one(aws_lambda_function_event_invoke_config.this).destination_config).on_failure).destination == var.on_failure_topic_arn
    error_message = "A call that failed for good must go to the topic."
  }

  assert {
    condition     = one([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Resource if s.Sid == "ReportFailure"]) == var.on_failure_topic_arn
    error_message = "The role must be allowed to publish there."
  }
}

run "somebody_must_learn_of_failed_calls" {
  command = plan

  variables {
    called_asynchronously = true
  }

  expect_failures = [var.on_failure_topic_arn]
}

run "limits_are_checked_before_aws_refuses_them" {
  command = plan

  variables {
    name              = "Not_A_Name"
    architecture      = "sparc"
    memory_size       = 64
    timeout           = 901
    ephemeral_storage = 100
  }

  expect_failures = [var.name, var.architecture, var.memory_size, var.timeout, var.ephemeral_storage]
}
