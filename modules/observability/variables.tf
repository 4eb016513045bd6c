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
  description = "The topics whose dead-letter queues are watched."
  type        = set(string)
  nullable    = false
}

variable "queue_prefix" {
  description = "What a queue's name begins with; the topic follows, and for its dead-letter queue -dlq."
  type        = string
  nullable    = false
}

variable "state_machine_arn" {
  description = "The state machine whose failures raise an alarm."
  type        = string
  nullable    = false
}

variable "alarms_enabled" {
  description = "CloudWatch alarms for failed cycles, messages in dead-letter queues, files that were refused, and a ledger that does not balance."
  type        = bool
  default     = true
  nullable    = false
}

variable "environment" {
  description = "The environment's name among the metrics that ledgerlake publishes: its prefix."
  type        = string
  nullable    = false
}

variable "variance_alarm_percent" {
  description = "An alarm is raised when more than so many percent of a topic's messages are missing or stand twice."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.variance_alarm_percent >= 0 && var.variance_alarm_percent < 100
    error_message = "Give 0 to less than 100."
  }
}

variable "drift_alarm_enabled" {
  description = "An alarm when a cycle finds drift: new fields, other kinds of values, columns that stopped. Where fields come and go it is a noisy one."
  type        = bool
  default     = false
  nullable    = false
}

variable "unattended_jobs" {
  description = "Names of the Glue jobs that nobody waits for: an alert says when one failed or ran out of time."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.unattended_jobs) > 0
    error_message = "A rule without a job's name would report every job of the account; name one at least."
  }
}

variable "alert_emails" {
  description = "E-mail addresses that get the alerts; each has to confirm once."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "require_tls" {
  description = "Deny publishing that does not come over TLS. Off only where the endpoint itself speaks plain http."
  type        = bool
  default     = true
  nullable    = false
}

variable "kms_key_arn" {
  description = "The KMS key for the alerts; empty leaves them to SNS's own storage."
  type        = string
  default     = ""
  nullable    = false
}
