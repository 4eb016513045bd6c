variable "name" {
  description = "What every name begins with, in its hyphen form, such as ledgerlake-dev."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where this is deployed: account id, region and partition."
  type = object({
    id        = string
    region    = string
    partition = string
  })
  nullable = false
}

variable "buckets" {
  description = "Bucket names by purpose."
  type = object({
    landing      = string
    raw          = string
    standardized = string
    curated      = string
    gold         = string
    ops          = string
    contracts    = string
    artifacts    = string
  })
  nullable = false
}

variable "databases" {
  description = "Glue database names by layer; each layer's tables lie in the bucket of the same purpose."
  type = object({
    raw          = string
    standardized = string
    curated      = string
    gold         = string
    ops          = string
  })
  nullable = false
}

variable "dynamodb_tables" {
  description = "DynamoDB table names by purpose."
  type = object({
    checkpoints        = string
    locks              = string
    processing_enabled = string
    idempotency_keys   = string
    file_registry      = string
    circuit_breakers   = string
  })
  nullable = false
}

variable "topics" {
  description = "The topics whose landing tables are made at apply."
  type        = set(string)
  nullable    = false
}

variable "settings" {
  description = "The settings document (JSON) that the functions read."
  type        = string
  nullable    = false
}

variable "rebuild_job" {
  description = "The name of the Glue job that rebuilds a topic's tables for its next contract."
  type        = string
  nullable    = false
}

variable "lake_package" {
  description = "The Lambda package with pyiceberg: bucket, key, and sha256 in base64."
  type = object({
    bucket = string
    key    = string
    hash   = string
  })
  nullable = false
}

variable "architecture" {
  description = "The processor that the Lambda package was built for: arm64 or x86_64."
  type        = string
  default     = "arm64"
  nullable    = false
}

variable "require_tls" {
  description = "Deny every request that does not come over TLS. Off only where the endpoint itself speaks plain http."
  type        = bool
  default     = true
  nullable    = false
}

variable "lifecycle_rules" {
  description = "Let S3 forget replaced object versions and broken uploads after a while."
  type        = bool
  default     = true
  nullable    = false
}

variable "noncurrent_version_days" {
  description = "Days that a replaced object version can still be brought back."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.noncurrent_version_days >= 1
    error_message = "Keep replaced versions for at least 1 day, or turn lifecycle_rules off."
  }
}

variable "accept_log_days" {
  description = "Days that the log of accepted messages is kept, which the ledger's first formula is checked by."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.accept_log_days >= 2
    error_message = "Give at least 2 days: the daily reconciliation reads what yesterday accepted."
  }
}

variable "firehose_error_days" {
  description = "Days that Firehose's error objects are kept after they are loaded into RAW firehose_errors."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.firehose_error_days >= 7
    error_message = "Give at least 7 days: time to notice when they are not loaded."
  }
}

variable "point_in_time_recovery" {
  description = "Keep continuous backups of the DynamoDB tables."
  type        = bool
  default     = true
  nullable    = false
}

variable "deletion_protection" {
  description = "Refuse to delete the DynamoDB tables until this is turned off."
  type        = bool
  default     = false
  nullable    = false
}

variable "pii_salt_enabled" {
  description = "Keep a secret salt, which contracts with `pii`: sha256 need. Turned off, the salt is deleted for ever."
  type        = bool
  default     = true
  nullable    = false
}

variable "pii_salt_name" {
  description = "The name of the salt's secret."
  type        = string
  nullable    = false
}

variable "force_destroy" {
  description = "Let terraform destroy delete buckets that still hold data. Never where the data matters."
  type        = bool
  default     = false
  nullable    = false
}

variable "alerts_topic_arn" {
  description = "The SNS topic that learns of a file or a contract that could not be worked on."
  type        = string
  nullable    = false
}

variable "log_retention_days" {
  description = "Days that the logs are kept."
  type        = number
  default     = 30
  nullable    = false
}

variable "kms_key_arn" {
  description = "The KMS key for all data at rest; empty uses the keys AWS manages."
  type        = string
  default     = ""
  nullable    = false
}
