data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  name = replace(var.prefix, "_", "-")

  account = {
    id        = data.aws_caller_identity.current.account_id
    region    = data.aws_region.current.name
    partition = data.aws_partition.current.partition
  }

  # Names are worked out here, once, so that the settings document can be given to everything without a circle.
  buckets = {
    for purpose in ["landing", "raw", "standardized", "curated", "gold", "ops", "contracts", "artifacts"] :
    purpose => "${local.name}-${local.account.id}-${purpose}"
  }
  databases = {
    for layer in ["raw", "standardized", "curated", "gold", "ops"] : layer => "${var.prefix}_${layer}"
  }
  dynamodb_tables = {
    for table in ["checkpoints", "locks", "processing_enabled", "idempotency_keys", "file_registry", "circuit_breakers"] :
    table => "${local.name}-${replace(table, "_", "-")}"
  }
  queue_prefix     = "${local.name}-"
  firehose_name    = "${local.name}-raw"
  rebuild_job      = "${local.name}-rebuild"
  alerts_topic_arn = "arn:${local.account.partition}:sns:${local.account.region}:${local.account.id}:${local.name}-alerts"

  pii_salt_name = "${local.name}-pii-salt"

  settings = jsonencode({
    prefix              = var.prefix
    region              = local.account.region
    buckets             = local.buckets
    databases           = local.databases
    dynamodb_tables     = local.dynamodb_tables
    firehose_name       = local.firehose_name
    queue_prefix        = local.queue_prefix
    rebuild_job         = local.rebuild_job
    alerts_topic_arn    = local.alerts_topic_arn
    pii_salt_secret     = var.pii_salt_enabled ? local.pii_salt_name : ""
    max_payload_columns = var.max_payload_columns
    topics_per_run      = var.glue.topics_per_run
    bytes_per_run       = var.glue.gigabytes_per_run * 1024 * 1024 * 1024
    parallel_topics     = var.glue.parallel_topics
    reconciliation      = { for name in ["window_minutes", "in_flight_minutes"] : name => var.reconciliation[name] }
    circuit_breaker     = var.circuit_breaker
  })
}

module "catalog" {
  source = "../catalog"

  name                    = local.name
  account                 = local.account
  buckets                 = local.buckets
  databases               = local.databases
  dynamodb_tables         = local.dynamodb_tables
  topics                  = var.topics
  settings                = local.settings
  rebuild_job             = local.rebuild_job
  lake_package            = local.lambda_packages.lake
  architecture            = var.architecture
  require_tls             = var.require_tls
  lifecycle_rules         = var.lifecycle_rules
  noncurrent_version_days = var.noncurrent_version_days
  accept_log_days         = var.accept_log_days
  firehose_error_days     = var.firehose_error_days
  point_in_time_recovery  = var.point_in_time_recovery
  deletion_protection     = var.deletion_protection
  pii_salt_enabled        = var.pii_salt_enabled
  pii_salt_name           = local.pii_salt_name
  force_destroy           = var.force_destroy
  alerts_topic_arn        = module.observability.alerts_topic_arn
  log_retention_days      = var.log_retention_days
  kms_key_arn             = var.kms_key_arn
}

module "ingest" {
  source = "../ingest"

  name                  = local.name
  account               = local.account
  topics                = var.topics
  queue_prefix          = local.queue_prefix
  firehose_name         = local.firehose_name
  buckets               = { for purpose in ["landing", "raw", "ops"] : purpose => module.catalog.buckets[purpose] }
  raw_database          = module.catalog.databases.raw
  dynamodb_tables       = { for table in ["idempotency_keys", "file_registry", "circuit_breakers"] : table => local.dynamodb_tables[table] }
  settings              = local.settings
  light_package         = local.lambda_packages.light
  lake_package          = local.lambda_packages.lake
  architecture          = var.architecture
  batch_size            = var.queues.batch_size
  batching_window       = var.queues.batching_window
  processor_concurrency = var.queues.processor_concurrency
  max_receive_count     = var.queues.max_receive_count
  firehose_buffering    = var.firehose_buffering
  drain_enabled         = var.drain_enabled
  require_tls           = var.require_tls
  alerts_topic_arn      = module.observability.alerts_topic_arn
  log_retention_days    = var.log_retention_days
  kms_key_arn           = var.kms_key_arn
}

module "orchestration" {
  source = "../orchestration"

  name                = local.name
  account             = local.account
  buckets             = { for purpose in ["raw", "standardized", "curated", "ops", "contracts", "artifacts"] : purpose => local.buckets[purpose] }
  databases           = { for layer in ["raw", "standardized", "curated", "ops"] : layer => local.databases[layer] }
  dynamodb_tables     = { for table in ["checkpoints", "locks", "processing_enabled"] : table => local.dynamodb_tables[table] }
  settings            = local.settings
  light_package       = local.lambda_packages.light
  lake_package        = local.lambda_packages.lake
  architecture        = var.architecture
  job_files           = local.job_files
  glue                = { worker_type = var.glue.worker_type, workers = var.glue.workers, timeout_minutes = var.glue.timeout_minutes }
  max_concurrent_runs = var.glue.max_concurrent_runs
  schedule_enabled    = var.schedule_enabled
  schedule            = var.schedule
  reconciliation      = var.reconciliation
  alerts_topic_arn    = local.alerts_topic_arn
  pii_salt_arn        = module.catalog.pii_salt_arn
  log_retention_days  = var.log_retention_days
  kms_key_arn         = var.kms_key_arn
}

module "observability" {
  source = "../observability"

  name                   = local.name
  account                = local.account
  topics                 = var.topics
  queue_prefix           = local.queue_prefix
  state_machine_arn      = module.orchestration.state_machine_arn
  alarms_enabled         = var.alarms_enabled
  environment            = var.prefix
  variance_alarm_percent = var.reconciliation.variance_alarm_percent
  drift_alarm_enabled    = var.drift_alarm_enabled
  unattended_jobs        = [for job in ["rebuild", "reconcile"] : module.orchestration.glue_job_names[job]]
  alert_emails           = var.alert_emails
  require_tls            = var.require_tls
  kms_key_arn            = var.kms_key_arn
}
