variable "region" {
  description = "The AWS region to deploy to."
  type        = string
  default     = "us-east-1"
  nullable    = false
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

variable "extra_topics" {
  description = "Topics beside the datasets under schemas/; they land in RAW, with no contract yet."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for topic in var.extra_topics : can(regex("^[a-z][a-z0-9_]{0,62}$", topic))])
    error_message = "A topic is 1 to 63 lower-case letters, digits and underscores and begins with a letter; these are not: ${join(", ", [for topic in var.extra_topics : topic if !can(regex("^[a-z][a-z0-9_]{0,62}$", topic))])}."
  }
}
