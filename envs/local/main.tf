# The whole lakehouse on this machine: the modules of every other environment, against the endpoint in AWS_ENDPOINT_URL.
terraform {
  backend "local" {
    path = "../../.local/terraform/local.tfstate"
  }
}

provider "aws" {
  region                      = var.region
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true

  default_tags {
    tags = { project = "ledgerlake", environment = "local" }
  }
}

locals {
  datasets = toset([for path in fileset("${path.module}/../../schemas", "*/schema.json") : dirname(path)])
}

module "lakehouse" {
  source = "../../modules/lakehouse"

  prefix       = "ledgerlake_local"
  topics       = setunion(local.datasets, var.extra_topics)
  packages_dir = "${path.module}/../../build/${var.architecture}"
  architecture = var.architecture

  # Seconds instead of minutes: somebody is watching.
  queues             = { batching_window = 1 }
  firehose_buffering = { interval = 1, size = 16 }
  glue               = { workers = 2, timeout_minutes = 60, max_concurrent_runs = 2, parallel_topics = 2 }

  # Cycles and reconciliations are started by hand here, and alarms have no metrics to look at.
  schedule_enabled = false
  reconciliation   = { schedule_enabled = false, full_enabled = false }
  alarms_enabled   = false

  # The endpoint speaks plain http on 127.0.0.1, and everything is thrown away in the end.
  require_tls            = false
  lifecycle_rules        = false
  point_in_time_recovery = false
  force_destroy          = true
}
