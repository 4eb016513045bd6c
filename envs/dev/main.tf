# The lakehouse of dev, on AWS. The bucket that keeps Terraform's state is named in backend.hcl (see backend.hcl.example).
terraform {
  backend "s3" {
    key          = "ledgerlake/dev.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { project = "ledgerlake", environment = "dev" }
  }
}

locals {
  datasets = toset([for path in fileset("${path.module}/../../schemas", "*/schema.json") : dirname(path)])
}

module "lakehouse" {
  source = "../../modules/lakehouse"

  prefix       = "ledgerlake_dev"
  topics       = setunion(local.datasets, var.extra_topics)
  packages_dir = "${path.module}/../../build/${var.architecture}"
  architecture = var.architecture
}
