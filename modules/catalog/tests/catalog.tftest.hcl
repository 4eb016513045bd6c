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

  mock_resource "aws_dynamodb_table" {
    defaults = { arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/mocked" }
  }
}

variables {
  name = "ledgerlake-test"
  account = {
    id        = "123456789012"
    region    = "eu-central-1"
    partition = "aws"
  }

  buckets = {
    landing = "t-landing", raw = "t-raw", standardized = "t-standardized", curated = "t-curated",
    gold    = "t-gold", ops = "t-ops", contracts = "t-contracts", artifacts = "t-artifacts"
  }
  databases = { raw = "t_raw", standardized = "t_standardized", curated = "t_curated", gold = "t_gold", ops = "t_ops" }
  dynamodb_tables = {
    checkpoints      = "t-checkpoints", locks = "t-locks", processing_enabled = "t-processing-enabled",
    idempotency_keys = "t-idempotency-keys", file_registry = "t-file-registry", circuit_breakers = "t-circuit-breakers"
  }
  topics           = ["events", "earthquakes"]
  pii_salt_name    = "t-pii-salt"
  settings         = "{}"
  rebuild_job      = "ledgerlake-test-rebuild"
  alerts_topic_arn = "arn:aws:sns:eu-central-1:123456789012:ledgerlake-test-alerts"
  lake_package     = { bucket = "t-artifacts", key = "lambda/lake.zip", hash = "aGFzaA==" }
}

run "by_default" {
  command = plan

  # Every bucket is private, versioned, encrypted and TLS-only.
  assert {
    condition     = keys(aws_s3_bucket.this) == ["artifacts", "contracts", "curated", "gold", "landing", "ops", "raw", "standardized"]
    error_message = "There is one bucket for each purpose."
  }

  assert {
    condition = alltrue([
      for block in aws_s3_bucket_public_access_block.this :
      block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ]) && length(aws_s3_bucket_public_access_block.this) == 8
    error_message = "Public access must be blocked on every bucket."
  }

  assert {
    condition     = length([for v in aws_s3_bucket_versioning.this : v if v.versioning_configuration[0].status == "Enabled"]) == 8
    error_message = "Every bucket must be versioned."
  }

  assert {
    condition = length([
      for policy in aws_s3_bucket_policy.this : policy
      if contains([for s in jsondecode(policy.policy).Statement : s.Sid if s.Effect == "Deny" && s.Condition.Bool["aws:SecureTransport"] == "false"], "DenyInsecureTransport")
    ]) == 8
    error_message = "Every bucket's policy must deny plain http."
  }

  assert {
    condition = alltrue([
      for sse in aws_s3_bucket_server_side_encryption_configuration.this :
      one(one(sse.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    ])
    error_message = "Without a key, S3's own keys encrypt."
  }

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.this) == 8
    error_message = "Replaced versions must be forgotten in time, in every bucket."
  }

  assert {
    condition = {
      for purpose, rules in aws_s3_bucket_lifecycle_configuration.this : purpose => [
        for rule in rules.rule : "${rule.filter[0].prefix} ${rule.expiration[0].days}" if rule.id != "forget-what-was-replaced"
      ] if length(rules.rule) > 1
    } == { ops = ["accepted/ 30"], raw = ["firehose-errors/ 90"] }
    error_message = "The accept log and Firehose's error objects expire, and nothing else does."
  }

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket.this : !bucket.force_destroy])
    error_message = "A bucket with data is not to be destroyed unless asked for."
  }

  # The salt is written once and can be brought back for a month.
  assert {
    condition     = one(aws_secretsmanager_secret.pii_salt).name == "t-pii-salt" && one(aws_secretsmanager_secret.pii_salt).recovery_window_in_days == 30
    error_message = "The salt must have its name, and its deletion must be one that can be taken back."
  }

  assert {
    condition     = one(aws_secretsmanager_secret_version.pii_salt).secret_string_wo_version == 1 && one(data.aws_secretsmanager_random_password.pii_salt).password_length == 64
    error_message = "The salt must be long, and written at the first apply only."
  }

  # State tables have their keys and their times to live.
  assert {
    condition = { for name, table in aws_dynamodb_table.this : name => "${table.hash_key}/${coalesce(table.range_key, "-")}" } == {
      checkpoints        = "topic/stage"
      locks              = "topic/-"
      processing_enabled = "topic/-"
      idempotency_keys   = "id/-"
      file_registry      = "object/version"
      circuit_breakers   = "topic/-"
    }
    error_message = "The state tables' keys are an agreement with ledgerlake.state."
  }

  assert {
    condition     = aws_dynamodb_table.this["locks"].ttl[0].attribute_name == "expires_at" && aws_dynamodb_table.this["idempotency_keys"].ttl[0].attribute_name == "expiration"
    error_message = "Locks and idempotency keys expire by themselves."
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.point_in_time_recovery[0].enabled && table.billing_mode == "PAY_PER_REQUEST"])
    error_message = "Tables are backed up and cost nothing while idle."
  }

  # Tables are made at apply for every topic.
  assert {
    condition     = jsondecode(aws_lambda_invocation.ensure_tables.input).topics == ["earthquakes", "events"]
    error_message = "ensure_tables must be told of every topic."
  }

  assert {
    condition     = one(aws_s3_bucket_notification.contracts.lambda_function).filter_suffix == "/pending/schema.json"
    error_message = "Only a pending contract starts publish_contract."
  }
}

run "just_the_tls_statement_can_be_left_out" {
  command = plan

  variables {
    require_tls = false
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
  }

  assert {
    condition     = alltrue([for policy in aws_s3_bucket_policy.this : [for s in jsondecode(policy.policy).Statement : s.Sid] == ["DenyOtherKeys"]])
    error_message = "require_tls = false must leave the other statements as they are."
  }

  assert {
    condition = alltrue([
      for sse in aws_s3_bucket_server_side_encryption_configuration.this :
      one(one(sse.rule).apply_server_side_encryption_by_default).kms_master_key_id == var.kms_key_arn
    ])
    error_message = "The given key must encrypt every bucket."
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.server_side_encryption[0].kms_key_arn == var.kms_key_arn])
    error_message = "The given key must encrypt every DynamoDB table."
  }
}

run "a_bucket_without_statements_has_no_policy" {
  command = plan

  variables {
    require_tls = false
  }

  assert {
    condition     = length(aws_s3_bucket_policy.this) == 0
    error_message = "S3 refuses a policy without statements."
  }
}

run "lifecycle_rules_backups_and_protection_are_toggles" {
  command = plan

  variables {
    lifecycle_rules        = false
    point_in_time_recovery = false
    deletion_protection    = true
    force_destroy          = true
  }

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.this) == 0
    error_message = "lifecycle_rules = false must leave none."
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : !table.point_in_time_recovery[0].enabled && table.deletion_protection_enabled])
    error_message = "Backups must be off and deletion protected."
  }

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket.this : bucket.force_destroy])
    error_message = "force_destroy must reach every bucket."
  }
}

run "an_environment_may_keep_no_salt" {
  command = plan

  variables {
    pii_salt_enabled = false
  }

  assert {
    condition     = length(aws_secretsmanager_secret.pii_salt) == 0 && length(aws_secretsmanager_secret_version.pii_salt) == 0 && output.pii_salt_arn == ""
    error_message = "pii_salt_enabled = false must leave none."
  }
}

run "versions_are_kept_for_a_day_at_least" {
  command = plan

  variables {
    noncurrent_version_days = 0
  }

  expect_failures = [var.noncurrent_version_days]
}
