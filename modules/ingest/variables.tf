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

variable "topics" {
  description = "The topics that get a queue."
  type        = set(string)
  nullable    = false
}

variable "queue_prefix" {
  description = "What a queue's name begins with; the topic follows, and for its dead-letter queue -dlq."
  type        = string
  nullable    = false
}

variable "firehose_name" {
  description = "The name of the Firehose stream into RAW."
  type        = string
  nullable    = false
}

variable "buckets" {
  description = "The names of the buckets that ingestion reads and writes."
  type = object({
    landing = string
    raw     = string
    ops     = string
  })
  nullable = false
}

variable "raw_database" {
  description = "The Glue database of the RAW layer."
  type        = string
  nullable    = false
}

variable "dynamodb_tables" {
  description = "The names of the DynamoDB tables that make ingestion idempotent, and of the one that says which topics are taken."
  type = object({
    idempotency_keys = string
    file_registry    = string
    circuit_breakers = string
  })
  nullable = false
}

variable "settings" {
  description = "The settings document (JSON) that the functions read."
  type        = string
  nullable    = false
}

variable "light_package" {
  description = "The Lambda package without Iceberg: bucket, key, and sha256 in base64."
  type = object({
    bucket = string
    key    = string
    hash   = string
  })
  nullable = false
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
  description = "The processor that the Lambda packages were built for: arm64 or x86_64."
  type        = string
  default     = "arm64"
  nullable    = false
}

variable "batch_size" {
  description = "The most messages of one queue that the processor gets in one call."
  type        = number
  default     = 500
  nullable    = false

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 10000
    error_message = "Lambda takes 1 to 10000 messages a batch."
  }
}

variable "batching_window" {
  description = "Seconds that the poller gathers messages before it calls the processor."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.batching_window >= 1 && var.batching_window <= 300
    error_message = "Give 1 to 300 seconds; a batch of more than 10 messages needs at least 1."
  }
}

variable "processor_concurrency" {
  description = "The most calls of the processor at a time for one topic."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.processor_concurrency >= 2 && var.processor_concurrency <= 1000
    error_message = "Lambda takes 2 to 1000 for a queue."
  }
}

variable "processor_timeout" {
  description = "Seconds until a call of the processor is ended; the queues' visibility timeout is six times that."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.processor_timeout >= 10 && var.processor_timeout <= 900
    error_message = "Give 10 to 900 seconds."
  }
}

variable "drain_timeout" {
  description = "Seconds until a run of the drainer, or of the loader of Firehose's errors, is ended; the dead-letter queues' visibility timeout is six times that."
  type        = number
  default     = 240
  nullable    = false

  validation {
    condition     = var.drain_timeout >= 30 && var.drain_timeout <= 900
    error_message = "Give 30 to 900 seconds."
  }
}

variable "drain_schedule" {
  description = "How often dead letters and Firehose's errors are brought into RAW, as a rate or cron expression."
  type        = string
  default     = "rate(5 minutes)"
  nullable    = false

  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.drain_schedule))
    error_message = "Give an EventBridge Scheduler expression such as rate(5 minutes)."
  }
}

variable "drain_enabled" {
  description = "Bring dead letters and Firehose's errors into RAW by schedule; off leaves it to calls by hand."
  type        = bool
  default     = true
  nullable    = false
}

variable "max_receive_count" {
  description = "How often a message is tried before it goes to the dead-letter queue."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 1 && var.max_receive_count <= 1000
    error_message = "SQS takes 1 to 1000."
  }
}

variable "firehose_buffering" {
  description = "When Firehose commits to the tables: after so many seconds or MiB, whichever comes first."
  type = object({
    interval = optional(number, 60)
    size     = optional(number, 64)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.firehose_buffering.interval >= 0 && var.firehose_buffering.interval <= 900
    error_message = "Firehose takes an interval of 0 to 900 seconds."
  }

  validation {
    condition     = var.firehose_buffering.size >= 1 && var.firehose_buffering.size <= 128
    error_message = "Firehose takes a size of 1 to 128 MiB."
  }
}

variable "require_tls" {
  description = "Deny every request to the queues that does not come over TLS. Off only where the endpoint itself speaks plain http."
  type        = bool
  default     = true
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
