# The lakehouse of prod, on AWS. The bucket that keeps Terraform's state is named in backend.hcl (see backend.hcl.example).
terraform {
  backend "s3" {
    key          = "ledgerlake/prod.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { project = "ledgerlake", environment = "prod" }
  }
}

locals {
  datasets = toset([for path in fileset("${path.module}/../../schemas", "*/schema.json") : dirname(path)])
}

module "lakehouse" {
  source = "../../modules/lakehouse"

  prefix       = "ledgerlake_prod"
  topics       = setunion(local.datasets, var.extra_topics)
  packages_dir = "${path.module}/../../build/${var.architecture}"
  architecture = var.architecture

  # What cannot be made again is not deleted by mistake, and what happened can be looked up for a year.
  deletion_protection = true
  log_retention_days  = 365
}
