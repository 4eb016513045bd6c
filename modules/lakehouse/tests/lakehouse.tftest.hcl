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

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:123456789012:mocked" }
  }

  mock_resource "aws_dynamodb_table" {
    defaults = { arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/mocked" }
  }

  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:mocked" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:ledgerlake-test-alerts" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  prefix       = "ledgerlake_test"
  topics       = ["events", "earthquakes"]
  packages_dir = "tests/packages"
}

run "by_default" {
  command = plan

  # Names are worked out from the prefix.
  assert {
    condition     = jsondecode(output.settings).buckets.raw == "ledgerlake-test-123456789012-raw"
    error_message = "A bucket's name is the prefix with hyphens, the account and the purpose."
  }

  assert {
    condition = output.databases == {
      raw  = "ledgerlake_test_raw", standardized = "ledgerlake_test_standardized", curated = "ledgerlake_test_curated",
      gold = "ledgerlake_test_gold", ops = "ledgerlake_test_ops"
    }
    error_message = "A database's name is the prefix and the layer."
  }

  assert {
    condition     = toset(keys(jsondecode(output.settings).buckets)) == toset(["landing", "raw", "standardized", "curated", "gold", "ops", "contracts", "artifacts"])
    error_message = "The buckets are an agreement (design 3.4)."
  }

  assert {
    condition = output.lambda_names == {
      for name in [
        "processor", "firehose_transform", "ingest", "drain_dlq", "publish_contract", "ensure_tables", "plan_cycle",
        "check_curated_ready", "reconcile", "reconcile_window", "start_cycle", "probe_breakers", "load_firehose_errors",
      ] : name => "ledgerlake-test-${replace(name, "_", "-")}"
    }
    error_message = "Functions are named by their handlers."
  }

  assert {
    condition     = output.glue_job_names == { for name in ["standardize", "curate", "replay", "reprocess", "rebuild", "rehearse", "reconcile"] : name => "ledgerlake-test-${name}" }
    error_message = "Jobs are named by what they do."
  }

  assert {
    condition     = toset(keys(output.queue_urls)) == var.topics && toset(keys(output.dlq_urls)) == var.topics
    error_message = "Every topic has its queues."
  }

  assert {
    condition     = toset(keys(output.dynamodb_tables)) == toset(["checkpoints", "locks", "processing_enabled", "idempotency_keys", "file_registry", "circuit_breakers"])
    error_message = "The state tables are an agreement (design 3.3)."
  }

  # The settings document says what the outputs say.
  assert {
    condition     = jsondecode(output.settings).databases == output.databases && jsondecode(output.settings).dynamodb_tables == output.dynamodb_tables
    error_message = "Functions must look where Terraform has made things."
  }

  assert {
    condition     = jsondecode(output.settings).alerts_topic_arn == output.alerts_topic_arn && jsondecode(output.settings).firehose_name == output.firehose_name
    error_message = "Functions must look where Terraform has made things."
  }

  assert {
    condition     = jsondecode(output.settings).bytes_per_run == 50 * pow(1024, 3)
    error_message = "gigabytes_per_run is given to the planner in bytes."
  }

  # The settings document names the salt.
  assert {
    condition     = jsondecode(output.settings).pii_salt_secret == "ledgerlake-test-pii-salt"
    error_message = "The salt's name must be worked out from the prefix."
  }

  # Packages are kept by content.
  assert {
    condition     = aws_s3_object.package["lake"].key == "lambda/0000000000000000/lake.zip" && aws_s3_object.package["wheel"].key == "glue/0000000000000000/ledgerlake-0.1.0-py3-none-any.whl"
    error_message = "A key holds the hash of the content, so that new code has a new key."
  }

  # By default everything is on.
  assert {
    condition     = var.require_tls && var.lifecycle_rules && var.point_in_time_recovery && var.schedule_enabled && var.drain_enabled && var.alarms_enabled && var.circuit_breaker.enabled && !var.force_destroy
    error_message = "An environment that says nothing gets the safe choice."
  }
}

run "every_option_turned_the_other_way" {
  command = plan

  variables {
    require_tls            = false
    lifecycle_rules        = false
    point_in_time_recovery = false
    deletion_protection    = true
    pii_salt_enabled       = false
    force_destroy          = true
    schedule_enabled       = false
    drain_enabled          = false
    alarms_enabled         = false
    alert_emails           = ["oncall@example.org"]
    kms_key_arn            = "arn:aws:kms:eu-central-1:123456789012:key/k"
    architecture           = "x86_64"
    queues                 = { batch_size = 10, batching_window = 1, processor_concurrency = 2, max_receive_count = 3 }
    firehose_buffering     = { interval = 0, size = 1 }
    glue                   = { worker_type = "G.2X", workers = 10, topics_per_run = 50, gigabytes_per_run = 100, parallel_topics = 8 }
    schedule               = "cron(0 * * * ? *)"
    max_payload_columns    = 200
    circuit_breaker        = { enabled = false, failure_rate = 1 }
  }

  assert {
    condition     = jsondecode(output.settings).max_payload_columns == 200 && jsondecode(output.settings).topics_per_run == 50 && jsondecode(output.settings).parallel_topics == 8
    error_message = "Sizes must reach the settings document."
  }

  assert {
    condition     = jsondecode(output.settings).pii_salt_secret == ""
    error_message = "Without a salt the settings document names none."
  }

  assert {
    condition     = !jsondecode(output.settings).circuit_breaker.enabled && jsondecode(output.settings).circuit_breaker.failure_rate == 1 && jsondecode(output.settings).circuit_breaker.min_messages == 20
    error_message = "The circuit breaker's limits must reach the settings document."
  }
}

run "an_environment_may_have_no_topic_yet" {
  command = plan

  variables {
    topics = []
  }

  assert {
    condition     = length(output.queue_urls) == 0
    error_message = "No topic, no queue."
  }
}

run "wrong_values_are_named" {
  command = plan

  variables {
    prefix              = "Ledger-Lake"
    architecture        = "riscv"
    max_payload_columns = 0
    glue                = { parallel_topics = 0 }
    circuit_breaker     = { failure_rate = 1.5, min_messages = 0, cool_down_seconds = 0 }
    alert_emails        = ["nobody"]
    log_retention_days  = 31
    kms_key_arn         = "alias/lake"
  }

  expect_failures = [
    var.prefix, var.architecture, var.max_payload_columns, var.glue, var.circuit_breaker, var.alert_emails, var.log_retention_days, var.kms_key_arn,
  ]
}

run "a_topic_must_have_a_topics_name" {
  command = plan

  variables {
    topics = ["events", "Bad-Topic"]
  }

  expect_failures = [var.topics]
}

run "packages_must_have_been_built" {
  command = plan

  variables {
    packages_dir = "tests/nothing-here"
  }

  expect_failures = [var.packages_dir]
}

run "a_lost_message_is_looked_for_after_it_may_be_on_its_way" {
  command         = plan
  expect_failures = [var.reconciliation]

  variables {
    reconciliation = { window_minutes = 60, in_flight_minutes = 60 }
  }
}
