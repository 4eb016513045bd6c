locals {
  log_group_arn = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:/aws/lambda/${var.name}"

  own_statements = concat(
    [{
      Sid      = "WriteOwnLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${local.log_group_arn}:*"
    }],
    var.kms_key_arn == "" ? [] : [{
      Sid      = "UseTheKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = var.kms_key_arn
    }],
    !var.called_asynchronously ? [] : [{
      Sid      = "ReportFailure"
      Effect   = "Allow"
      Action   = ["sns:Publish"]
      Resource = var.on_failure_topic_arn
    }],
  )
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:The key is the environment's choice, kms_key_arn; checkov sees its empty default

  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn == "" ? null : var.kms_key_arn
}

resource "aws_iam_role" "this" {
  name        = var.name
  description = "What the function ${var.name} may do, and nothing else."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "own"
  role = aws_iam_role.this.name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.own_statements, jsondecode(var.statements_json))
  })
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:Logs and metrics carry the cycle's and the message's id; a trace would add cost and no answer
  #checkov:skip=CKV_AWS_116:Functions called asynchronously report to on_failure_topic_arn; the others fail towards their caller, which tries again
  #checkov:skip=CKV_AWS_117:The function talks to AWS's own endpoints only, by IAM; a VPC would hold nothing to protect
  #checkov:skip=CKV_AWS_272:The package is pinned by its sha256 and lies in a bucket that only deployments write to

  function_name                  = var.name
  description                    = var.description
  role                           = aws_iam_role.this.arn
  runtime                        = "python3.11"
  architectures                  = [var.architecture]
  handler                        = var.handler
  s3_bucket                      = var.package.bucket
  s3_key                         = var.package.key
  source_code_hash               = var.package.hash
  memory_size                    = var.memory_size
  timeout                        = var.timeout
  reserved_concurrent_executions = var.reserved_concurrency
  kms_key_arn                    = var.kms_key_arn == "" ? null : var.kms_key_arn

  environment {
    variables = merge(
      { LEDGERLAKE_SETTINGS = var.settings, POWERTOOLS_SERVICE_NAME = var.name },
      var.environment,
    )
  }

  ephemeral_storage {
    size = var.ephemeral_storage
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  # A function that starts before its policy is in place fails its first calls.
  depends_on = [aws_iam_role_policy.this]
}

# What calls asynchronously does not wait for the answer: when all tries have failed, somebody must be told which call it was.
resource "aws_lambda_function_event_invoke_config" "this" {
  count = var.called_asynchronously ? 1 : 0

  function_name                = aws_lambda_function.this.function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 21600

  destination_config {
    on_failure {
      destination = var.on_failure_topic_arn
    }
  }
}
