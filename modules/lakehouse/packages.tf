# What scripts/build_packages.py built, in the artifacts bucket. Keys carry the content's hash: new code has a new key, and a
# job that is starting still finds the code it was told of.
locals {
  manifest = "${var.packages_dir}/packages.json"
  packages = fileexists(local.manifest) ? jsondecode(file(local.manifest)) : {} # var.packages_dir says what to do

  package_keys = {
    for name, package in local.packages :
    name => "${contains(["light", "lake"], name) ? "lambda" : "glue"}/${substr(package.sha256, 0, 16)}/${package.file}"
  }

  lambda_packages = {
    for name in ["light", "lake"] : name => {
      bucket = aws_s3_object.package[name].bucket
      key    = aws_s3_object.package[name].key
      hash   = local.packages[name].sha256_base64
    }
  }

  job_files = {
    bucket       = module.catalog.buckets.artifacts
    wheel        = aws_s3_object.package["wheel"].key
    dependencies = aws_s3_object.package["glue_wheels"].key
    scripts = {
      for name, object in aws_s3_object.package : trimprefix(name, "glue_") => object.key
      if startswith(name, "glue_") && name != "glue_wheels"
    }
  }
}

resource "aws_s3_object" "package" {
  for_each = local.packages

  bucket = module.catalog.buckets.artifacts
  key    = local.package_keys[each.key]
  source = "${var.packages_dir}/${each.value.file}"

  lifecycle {
    create_before_destroy = true
  }

  # The key says which content it is; tags say nothing more, and S3 takes only ten of them on an object.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}
