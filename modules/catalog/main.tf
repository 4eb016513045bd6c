# The lake's storage: one bucket a layer, and what the pipeline needs beside them.
resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:Who read what is for the account's CloudTrail data events, which cover all buckets in one place
  #checkov:skip=CKV_AWS_144:A second region is the account's choice; versions guard against deletion, and RAW can be replayed
  #checkov:skip=CKV2_AWS_62:Only landing and contracts start something, and they have their notifications

  for_each = var.buckets

  bucket        = each.value
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = aws_s3_bucket.this

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    bucket_key_enabled = var.kms_key_arn != ""

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == "" ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn == "" ? null : var.kms_key_arn
    }
  }
}

locals {
  # Each statement by the condition under which it is part of every bucket's policy.
  bucket_statements = {
    for purpose, bucket in var.buckets : purpose => concat(
      !var.require_tls ? [] : [{
        Sid       = "DenyInsecureTransport"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = ["arn:${var.account.partition}:s3:::${bucket}", "arn:${var.account.partition}:s3:::${bucket}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      var.kms_key_arn == "" ? [] : [{
        Sid       = "DenyOtherKeys"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = ["arn:${var.account.partition}:s3:::${bucket}/*"]
        Condition = {
          StringNotEqualsIfExists = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = var.kms_key_arn }
        }
      }],
    )
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = { for purpose, statements in local.bucket_statements : purpose => statements if length(statements) > 0 }

  bucket = aws_s3_bucket.this[each.key].id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = each.value
  })

  # S3 refuses a policy that is put while public access is being blocked.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

locals {
  # What is kept for a while only: its content stands in tables by then.
  expiring = {
    ops = { "accepted/" = var.accept_log_days }
    raw = { "firehose-errors/" = var.firehose_error_days }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = var.lifecycle_rules ? aws_s3_bucket.this : {}

  bucket = each.value.id

  rule {
    id     = "forget-what-was-replaced"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_version_days
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = lookup(local.expiring, each.key, {})

    content {
      id     = "expire-${trimsuffix(rule.key, "/")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      expiration {
        days = rule.value
      }
    }
  }

  # A rule for versions needs versioning to be on.
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_glue_catalog_database" "this" {
  for_each = var.databases

  name         = each.value
  description  = "ledgerlake: the ${each.key} layer."
  location_uri = "s3://${aws_s3_bucket.this[each.key].id}/"
}
