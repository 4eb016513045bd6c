variable "name" {
  description = "The function's name; its role and log group carry it too."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,63}$", var.name))
    error_message = "Give a name of 2 to 64 lower-case letters, digits and hyphens that begins with a letter."
  }
}

variable "description" {
  description = "One sentence on what the function does."
  type        = string
  nullable    = false
}

variable "handler" {
  description = "The Python path of the handler, such as ledgerlake.handlers.processor.handle."
  type        = string
  nullable    = false
}

variable "package" {
  description = "The zip in the artifacts bucket, and its sha256 in base64."
  type = object({
    bucket = string
    key    = string
    hash   = string
  })
  nullable = false
}

variable "architecture" {
  description = "The processor that the package was built for: arm64 or x86_64."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Use arm64 or x86_64, whichever scripts/build_packages.py --arch was given."
  }
}

variable "settings" {
  description = "The settings document (JSON) that the function reads from LEDGERLAKE_SETTINGS."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Further environment variables."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "statements_json" {
  description = "The IAM statements of the function's role, as a JSON list; its own logs and the key are added."
  type        = string
  default     = "[]"
  nullable    = false
}

variable "memory_size" {
  description = "Memory in MB."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240
    error_message = "Lambda takes 128 to 10240 MB."
  }
}

variable "timeout" {
  description = "Seconds until a call is ended."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.timeout >= 1 && var.timeout <= 900
    error_message = "Lambda takes 1 to 900 seconds; longer work belongs into a Glue job."
  }
}

variable "ephemeral_storage" {
  description = "The size of /tmp in MB."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.ephemeral_storage >= 512 && var.ephemeral_storage <= 10240
    error_message = "Lambda takes 512 to 10240 MB."
  }
}

variable "reserved_concurrency" {
  description = "How many calls may run at a time; -1 sets no limit."
  type        = number
  default     = -1
  nullable    = false
}

variable "called_asynchronously" {
  description = "Whether the callers do not wait for an answer, as S3 does not; a call that fails for good is then reported to on_failure_topic_arn."
  type        = bool
  default     = false
  nullable    = false
}

variable "on_failure_topic_arn" {
  description = "The SNS topic that learns of asynchronous calls that failed for good, with their event."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = !var.called_asynchronously || var.on_failure_topic_arn != ""
    error_message = "Name the topic that learns of failed calls; nobody else would."
  }
}

variable "log_retention_days" {
  description = "Days that the logs are kept."
  type        = number
  default     = 30
  nullable    = false
}

variable "kms_key_arn" {
  description = "The KMS key for the logs, the environment and the data; empty uses the keys AWS manages."
  type        = string
  default     = ""
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
