# One stream for all topics: the transform says which table a record belongs to.
module "firehose_transform" {
  source = "../function"

  name               = local.transform_name
  description        = "Gives each record its RAW row and the table that takes it."
  handler            = "ledgerlake.handlers.firehose_transform.handle"
  package            = var.light_package
  architecture       = var.architecture
  settings           = var.settings
  memory_size        = 512
  timeout            = 300
  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  account            = var.account
}

resource "aws_cloudwatch_log_group" "firehose" {
  #checkov:skip=CKV_AWS_158:The key is the environment's choice, kms_key_arn; checkov sees its empty default

  name              = "/aws/kinesisfirehose/${var.firehose_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn == "" ? null : var.kms_key_arn
}

resource "aws_cloudwatch_log_stream" "firehose" {
  name           = "delivery"
  log_group_name = aws_cloudwatch_log_group.firehose.name
}

resource "aws_iam_role" "firehose" {
  name        = "${var.name}-firehose"
  description = "What the stream ${var.firehose_name} may do, and nothing else."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "firehose.amazonaws.com" }
      Condition = { StringEquals = { "sts:ExternalId" = var.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "firehose" {
  name = "own"
  role = aws_iam_role.firehose.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid    = "CommitToRaw"
          Effect = "Allow"
          Action = ["glue:GetDatabase", "glue:GetTable", "glue:UpdateTable"]
          Resource = [
            "${local.glue_arn}:catalog",
            "${local.glue_arn}:database/${var.raw_database}",
            "${local.glue_arn}:table/${var.raw_database}/*",
          ]
        },
        {
          Sid      = "WriteFiles"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
          Resource = "${local.bucket_arns.raw}/*"
        },
        {
          Sid      = "SeeFiles"
          Effect   = "Allow"
          Action   = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
          Resource = local.bucket_arns.raw
        },
        {
          Sid      = "Transform"
          Effect   = "Allow"
          Action   = ["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"]
          Resource = ["${local.lambda_arn}:${local.transform_name}", "${local.lambda_arn}:${local.transform_name}:*"]
        },
        {
          Sid      = "WriteOwnLogs"
          Effect   = "Allow"
          Action   = ["logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.firehose.arn}:*"
        },
      ],
      var.kms_key_arn == "" ? [] : [{
        Sid      = "UseTheKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
      }],
    )
  })
}

resource "aws_kinesis_firehose_delivery_stream" "this" {
  name        = var.firehose_name
  destination = "iceberg"

  iceberg_configuration {
    role_arn           = aws_iam_role.firehose.arn
    catalog_arn        = "${local.glue_arn}:catalog"
    buffering_interval = var.firehose_buffering.interval
    buffering_size     = var.firehose_buffering.size
    retry_duration     = 3600
    s3_backup_mode     = "FailedDataOnly"

    s3_configuration {
      role_arn            = aws_iam_role.firehose.arn
      bucket_arn          = local.bucket_arns.raw
      error_output_prefix = local.firehose_error_prefix
      compression_format  = "UNCOMPRESSED"
      kms_key_arn         = var.kms_key_arn == "" ? null : var.kms_key_arn
    }

    processing_configuration {
      enabled = true

      # Its buffer stays at the default of 1 MB: the transform's answer, which is larger than what it was given, must stay under 6 MB.
      processors {
        type = "Lambda"

        parameters {
          parameter_name  = "LambdaArn"
          parameter_value = "${module.firehose_transform.arn}:$LATEST"
        }
      }
    }

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.firehose.name
      log_stream_name = aws_cloudwatch_log_stream.firehose.name
    }
  }

  dynamic "server_side_encryption" {
    for_each = [var.kms_key_arn]

    content {
      enabled  = true
      key_type = server_side_encryption.value == "" ? "AWS_OWNED_CMK" : "CUSTOMER_MANAGED_CMK"
      key_arn  = server_side_encryption.value == "" ? null : server_side_encryption.value
    }
  }

  depends_on = [aws_iam_role_policy.firehose]
}
