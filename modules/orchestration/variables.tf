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
  description = "The names of the buckets that a cycle reads and writes."
  type = object({
    raw          = string
    standardized = string
    curated      = string
    ops          = string
    contracts    = string
    artifacts    = string
  })
  nullable = false
}

variable "databases" {
  description = "The Glue databases that a cycle reads and writes."
  type = object({
    raw          = string
    standardized = string
    curated      = string
    ops          = string
  })
  nullable = false
}

variable "dynamodb_tables" {
  description = "The DynamoDB tables with the state of the cycles."
  type = object({
    checkpoints        = string
    locks              = string
    processing_enabled = string
  })
  nullable = false
}

variable "settings" {
  description = "The settings document (JSON) that functions and jobs read."
  type        = string
  nullable    = false
}

variable "light_package" {
  description = "The Lambda package without pyiceberg: bucket, key, and sha256 in base64."
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
  description = "The processor that the Lambda package was built for: arm64 or x86_64."
  type        = string
  default     = "arm64"
  nullable    = false
}

variable "job_files" {
  description = "What the Glue jobs run: the keys of the wheel, of the zip of its dependencies' wheels, and of each job's script."
  type = object({
    bucket       = string
    wheel        = string
    dependencies = string
    scripts      = map(string)
  })
  nullable = false

  validation {
    condition     = alltrue([for job in keys(local.jobs) : contains(keys(var.job_files.scripts), job)])
    error_message = "Give a script for each job (${join(", ", keys(local.jobs))}); scripts/build_packages.py takes them from glue_scripts/."
  }
}

variable "glue" {
  description = "The size of one Glue run: type and number of workers, and minutes until it is ended."
  type = object({
    worker_type     = optional(string, "G.1X")
    workers         = optional(number, 4)
    timeout_minutes = optional(number, 120)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["G.1X", "G.2X", "G.4X", "G.8X", "R.1X", "R.2X", "R.4X", "R.8X"], var.glue.worker_type)
    error_message = "Use one of Glue's Spark workers: G.1X, G.2X, G.4X, G.8X or their R (memory) forms."
  }

  validation {
    condition     = var.glue.workers >= 2
    error_message = "A Spark job needs at least 2 workers: one drives."
  }

  validation {
    condition     = var.glue.timeout_minutes >= 1 && var.glue.timeout_minutes <= 10080
    error_message = "Glue takes 1 to 10080 minutes."
  }
}

variable "pii_salt_arn" {
  description = "The secret that holds the salt of hashed personal data; empty when there is none."
  type        = string
  default     = ""
  nullable    = false
}

variable "max_concurrent_runs" {
  description = "How many Glue runs of one stage go at a time."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.max_concurrent_runs >= 1 && var.max_concurrent_runs <= 40
    error_message = "Give 1 to 40: Step Functions runs no more of a Map's items at a time."
  }
}

variable "schedule_enabled" {
  description = "Start cycles by the clock."
  type        = bool
  default     = true
  nullable    = false
}

variable "schedule" {
  description = "When cycles start, as a rate or cron expression."
  type        = string
  default     = "rate(15 minutes)"
  nullable    = false

  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.schedule))
    error_message = "Give an EventBridge Scheduler expression such as rate(15 minutes)."
  }
}

variable "reconciliation" {
  description = "When the ledger is checked beside the cycles: a recent window of all topics, and everything by a Glue job."
  type = object({
    schedule_enabled = optional(bool, true)
    schedule         = optional(string, "rate(1 hour)")
    full_enabled     = optional(bool, true)
    full_schedule    = optional(string, "cron(30 2 * * ? *)")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for expression in [var.reconciliation.schedule, var.reconciliation.full_schedule] : can(regex("^(rate|cron)\\(.+\\)$", expression))])
    error_message = "Give EventBridge Scheduler expressions such as rate(1 hour) or cron(30 2 * * ? *)."
  }
}

variable "alerts_topic_arn" {
  description = "The SNS topic that learns of failed cycles."
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
  description = "The KMS key for logs and data; empty uses the keys AWS manages."
  type        = string
  default     = ""
  nullable    = false
}
