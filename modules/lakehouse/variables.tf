variable "prefix" {
  description = "What every name begins with, such as ledgerlake_dev; buckets, queues and functions use its hyphen form."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{2,30}$", var.prefix))
    error_message = "Give 3 to 31 lower-case letters, digits and underscores that begin with a letter."
  }
}

variable "topics" {
  description = "Every topic that lands in RAW; those with an active contract go further."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for topic in var.topics : can(regex("^[a-z][a-z0-9_]{0,62}$", topic))])
    error_message = "A topic is 1 to 63 lower-case letters, digits and underscores and begins with a letter; these are not: ${join(", ", [for topic in var.topics : topic if !can(regex("^[a-z][a-z0-9_]{0,62}$", topic))])}."
  }
}

variable "packages_dir" {
  description = "The folder that scripts/build_packages.py wrote, with packages.json in it."
  type        = string
  nullable    = false

  validation {
    condition     = fileexists("${var.packages_dir}/packages.json")
    error_message = "Nothing has been built there: run make build, or scripts/build_packages.py --arch for the architecture of this environment."
  }
}

variable "architecture" {
  description = "The processor that the Lambda packages were built for: arm64 or x86_64."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Use arm64 or x86_64, whichever scripts/build_packages.py --arch was given."
  }
}

variable "max_payload_columns" {
  description = "The most payload columns of a topic's STANDARDIZED table; paths past it go to the rescued column."
  type        = number
  default     = 1000
  nullable    = false

  validation {
    condition     = var.max_payload_columns >= 1 && var.max_payload_columns <= 5000
    error_message = "Give 1 to 5000."
  }
}

variable "queues" {
  description = "How topic queues are worked off: batch, seconds to gather one, calls at a time for one topic, tries before the dead-letter queue."
  type = object({
    batch_size            = optional(number, 500)
    batching_window       = optional(number, 5)
    processor_concurrency = optional(number, 10)
    max_receive_count     = optional(number, 5)
  })
  default  = {}
  nullable = false
}

variable "circuit_breaker" {
  description = "When a topic's messages are no longer taken: the share of failures, of at least so many messages in a window; then the pause until a probe, and the longest one."
  type = object({
    enabled               = optional(bool, true)
    failure_rate          = optional(number, 0.5)
    min_messages          = optional(number, 20)
    window_seconds        = optional(number, 60)
    cool_down_seconds     = optional(number, 60)
    max_cool_down_seconds = optional(number, 900)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.circuit_breaker.failure_rate > 0 && var.circuit_breaker.failure_rate <= 1
    error_message = "failure_rate is a share: more than 0, at most 1."
  }

  validation {
    condition     = var.circuit_breaker.min_messages >= 1 && var.circuit_breaker.window_seconds >= 1
    error_message = "min_messages and window_seconds must each be at least 1."
  }

  validation {
    condition     = var.circuit_breaker.cool_down_seconds >= 1 && var.circuit_breaker.max_cool_down_seconds >= var.circuit_breaker.cool_down_seconds
    error_message = "cool_down_seconds must be at least 1, and max_cool_down_seconds no less than that."
  }
}

variable "firehose_buffering" {
  description = "When Firehose commits to RAW: after so many seconds or MiB, whichever comes first."
  type = object({
    interval = optional(number, 60)
    size     = optional(number, 64)
  })
  default  = {}
  nullable = false
}

variable "glue" {
  description = "Glue runs: worker type and number, minutes until one is ended, how many go at a time, and how much work one gets."
  type = object({
    worker_type         = optional(string, "G.1X")
    workers             = optional(number, 4)
    timeout_minutes     = optional(number, 120)
    max_concurrent_runs = optional(number, 5)
    topics_per_run      = optional(number, 200)
    gigabytes_per_run   = optional(number, 50)
    parallel_topics     = optional(number, 4)
  })
  default  = {}
  nullable = false

  validation {
    condition     = min(var.glue.topics_per_run, var.glue.gigabytes_per_run, var.glue.parallel_topics) >= 1
    error_message = "topics_per_run, gigabytes_per_run and parallel_topics must each be at least 1."
  }
}

variable "reconciliation" {
  description = "The ledger by identity: over how many minutes after each cycle, how long a message may be on its way, when it is checked beside the cycles (a recent window; everything, by a Glue job), and from which variance an alarm is raised."
  type = object({
    window_minutes         = optional(number, 180)
    in_flight_minutes      = optional(number, 90)
    schedule_enabled       = optional(bool, true)
    schedule               = optional(string, "rate(1 hour)")
    full_enabled           = optional(bool, true)
    full_schedule          = optional(string, "cron(30 2 * * ? *)")
    variance_alarm_percent = optional(number, 1)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.reconciliation.window_minutes > var.reconciliation.in_flight_minutes && var.reconciliation.in_flight_minutes >= 1
    error_message = "window_minutes must be more than in_flight_minutes: a message that got lost would never be looked for."
  }
}

variable "schedule_enabled" {
  description = "Start cycles by the clock; a cycle can always be started by hand."
  type        = bool
  default     = true
  nullable    = false
}

variable "schedule" {
  description = "When cycles start, as a rate or cron expression."
  type        = string
  default     = "rate(15 minutes)"
  nullable    = false
}

variable "drain_enabled" {
  description = "Bring dead letters and Firehose's errors into RAW every 5 minutes."
  type        = bool
  default     = true
  nullable    = false
}

variable "alarms_enabled" {
  description = "CloudWatch alarms for failed cycles, messages in dead-letter queues, files that were refused, and a ledger that does not balance."
  type        = bool
  default     = true
  nullable    = false
}

variable "drift_alarm_enabled" {
  description = "An alarm when a cycle finds drift: new fields, other kinds of values, columns that stopped. Where fields come and go it is a noisy one."
  type        = bool
  default     = false
  nullable    = false
}

variable "alert_emails" {
  description = "E-mail addresses that get the alerts; each has to confirm once."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+$", address))])
    error_message = "Give plain e-mail addresses, such as oncall@example.org."
  }
}

variable "require_tls" {
  description = "Deny every request that does not come over TLS. Off only where the endpoint itself speaks plain http."
  type        = bool
  default     = true
  nullable    = false
}

variable "lifecycle_rules" {
  description = "Let S3 forget replaced object versions, broken uploads, and logs that tables stand for, after a while."
  type        = bool
  default     = true
  nullable    = false
}

variable "noncurrent_version_days" {
  description = "Days that a replaced object version can still be brought back."
  type        = number
  default     = 30
  nullable    = false
}

variable "accept_log_days" {
  description = "Days that the log of accepted messages is kept, which the ledger's first formula is checked by."
  type        = number
  default     = 30
  nullable    = false
}

variable "firehose_error_days" {
  description = "Days that Firehose's error objects are kept after they are loaded into RAW firehose_errors."
  type        = number
  default     = 90
  nullable    = false
}

variable "point_in_time_recovery" {
  description = "Keep continuous backups of the DynamoDB tables."
  type        = bool
  default     = true
  nullable    = false
}

variable "pii_salt_enabled" {
  description = "Keep a secret salt, which contracts with `pii`: sha256 need. Turned off, the salt is deleted for ever."
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

variable "force_destroy" {
  description = "Let terraform destroy delete buckets that still hold data. Never where the data matters."
  type        = bool
  default     = false
  nullable    = false
}

variable "log_retention_days" {
  description = "Days that all logs are kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch Logs takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "kms_key_arn" {
  description = "One KMS key for all data at rest: buckets, queues, tables, logs, functions, alerts. Empty uses the keys AWS manages."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.kms_key_arn == "" || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "Give the key's full ARN (arn:aws:kms:…:key/…), not an alias, or leave it empty."
  }
}
