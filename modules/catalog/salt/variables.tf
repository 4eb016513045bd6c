variable "name" {
  description = "The name of the salt's secret."
  type        = string
  nullable    = false
}

variable "force_destroy" {
  description = "Delete the secret at once; otherwise it can be brought back for 30 days."
  type        = bool
  nullable    = false
}

variable "kms_key_arn" {
  description = "The KMS key for the secret; empty uses the key AWS manages."
  type        = string
  nullable    = false
}
