# The Glue jobs: the wheel does the work, a script of a few lines starts it.
locals {
  jobs = {
    standardize = { does = "standardize every topic of a run", reads = ["raw"], writes = ["standardized", "ops"] }
    curate      = { does = "curate every topic of a run", reads = ["standardized"], writes = ["curated", "ops"] }
    replay      = { does = "take in a topic's errors that pass now", reads = ["standardized"], writes = ["curated", "ops"] }
    reprocess   = { does = "rebuild a topic's tables beside main", reads = ["raw"], writes = ["standardized", "curated", "ops"] }
    rebuild     = { does = "rebuild a topic's tables for its next contract", reads = ["raw"], writes = ["standardized", "curated", "ops"] }
    rehearse    = { does = "try a proposed contract on a topic's last days, and write no table", reads = ["raw", "standardized"], writes = [] }
    reconcile   = { does = "find what is missing or stands twice in any table", reads = ["raw", "standardized", "curated"], writes = ["ops"] }
  }
  # The cycle's own; people and the publishing of contracts start the others.
  stages = ["curate", "standardize"]
  # Those that type rows: no other has to know what personal data is hashed with.
  hashing = ["curate", "rebuild", "rehearse", "replay", "reprocess"]

  # A rebuild ends with what the publishing of any contract does: its table may be new, and the gate is opened.
  publishes = [
    {
      Sid    = "MakeTables"
      Effect = "Allow"
      Action = ["glue:CreateTable"]
      Resource = concat(
        ["${local.glue_arn}:catalog"],
        [for layer in ["standardized", "curated"] : "${local.glue_arn}:database/${var.databases[layer]}"],
        [for layer in ["standardized", "curated"] : "${local.glue_arn}:table/${var.databases[layer]}/*"],
      )
    },
    {
      Sid    = "DropUnwrittenTables"
      Effect = "Allow"
      Action = ["glue:DeleteTable"]
      Resource = [
        "${local.glue_arn}:catalog",
        "${local.glue_arn}:database/${var.databases.curated}",
        "${local.glue_arn}:table/${var.databases.curated}/*",
      ]
    },
    {
      Sid      = "MoveContracts"
      Effect   = "Allow"
      Action   = ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"]
      Resource = "${local.bucket_arns.contracts}/schemas/*"
    },
    {
      Sid      = "SeeContracts"
      Effect   = "Allow"
      Action   = ["s3:ListBucketVersions"]
      Resource = local.bucket_arns.contracts
    },
    {
      Sid      = "OpenTheGate"
      Effect   = "Allow"
      Action   = ["dynamodb:PutItem", "dynamodb:UpdateItem"]
      Resource = local.table_arns.processing_enabled
    },
  ]

  # Glue takes several Spark settings as one argument in this form.
  spark_conf = join(" --conf ", [
    "spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.lake=org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.lake.catalog-impl=org.apache.iceberg.aws.glue.GlueCatalog",
    "spark.sql.catalog.lake.io-impl=org.apache.iceberg.aws.s3.S3FileIO",
    "spark.sql.catalog.lake.warehouse=s3://${var.buckets.ops}/",
    "spark.sql.catalog.lake.client.region=${var.account.region}",
    # A cached table hides what another session committed (design section 5, facts).
    "spark.sql.catalog.lake.cache-enabled=false",
    "spark.sql.session.timeZone=UTC",
  ])
}

resource "aws_glue_job" "this" {
  #checkov:skip=CKV_AWS_195:The security configuration comes with the environment's key, kms_key_arn; checkov sees its empty default

  for_each = local.jobs

  name              = "${var.name}-${each.key}"
  description       = "ledgerlake: ${each.value.does}."
  role_arn          = aws_iam_role.job[each.key].arn
  glue_version      = "5.1"
  worker_type       = var.glue.worker_type
  number_of_workers = var.glue.workers
  timeout           = var.glue.timeout_minutes
  max_retries       = 0 # a retry is the next cycle's: it finishes the pinned batch

  security_configuration = var.kms_key_arn == "" ? null : aws_glue_security_configuration.this[0].name

  command {
    name            = "glueetl"
    script_location = "s3://${var.job_files.bucket}/${var.job_files.scripts[each.key]}"
    python_version  = "3"
  }

  execution_property {
    max_concurrent_runs = var.max_concurrent_runs
  }

  default_arguments = {
    "--job-language"                     = "python"
    "--datalake-formats"                 = "iceberg"
    "--conf"                             = local.spark_conf
    "--extra-py-files"                   = "s3://${var.job_files.bucket}/${var.job_files.wheel}"
    "--additional-python-modules"        = "s3://${var.job_files.bucket}/${var.job_files.dependencies}"
    "--python-modules-installer-option"  = "--no-index"
    "--ledgerlake_settings"              = var.settings
    "--TempDir"                          = "s3://${var.buckets.ops}/glue-temp/"
    "--enable-metrics"                   = "true"
    "--enable-observability-metrics"     = "true"
    "--enable-continuous-cloudwatch-log" = "true"
    "--continuous-log-logGroup"          = aws_cloudwatch_log_group.job[each.key].name
  }

  depends_on = [aws_iam_role_policy.job]
}

resource "aws_cloudwatch_log_group" "job" {
  #checkov:skip=CKV_AWS_158:The key is the environment's choice, kms_key_arn; checkov sees its empty default

  for_each = local.jobs

  name              = "/aws-glue/jobs/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn == "" ? null : var.kms_key_arn
}

resource "aws_glue_security_configuration" "this" {
  count = var.kms_key_arn == "" ? 0 : 1

  name = var.name

  encryption_configuration {
    cloudwatch_encryption {
      cloudwatch_encryption_mode = "SSE-KMS"
      kms_key_arn                = var.kms_key_arn
    }

    job_bookmarks_encryption {
      job_bookmarks_encryption_mode = "CSE-KMS"
      kms_key_arn                   = var.kms_key_arn
    }

    s3_encryption {
      s3_encryption_mode = "SSE-KMS"
      kms_key_arn        = var.kms_key_arn
    }
  }
}

resource "aws_iam_role" "job" {
  for_each = local.jobs

  # A function's role is called like the function, and a job may have the name of one: reconcile is both.
  name        = "${var.name}-${each.key}-job"
  description = "What the job ${var.name}-${each.key} may do, and nothing else."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "glue.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "job" {
  for_each = local.jobs

  name = "own"
  role = aws_iam_role.job[each.key].name

  policy = jsonencode({
    Version = "2012-10-17"
    # A job that writes no table has no resource in some of them, and IAM takes no statement without one.
    Statement = [for statement in concat(
      [
        {
          Sid    = "ReadCatalog"
          Effect = "Allow"
          Action = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables"]
          Resource = concat(
            ["${local.glue_arn}:catalog"],
            [for layer in concat(each.value.reads, each.value.writes) : "${local.glue_arn}:database/${var.databases[layer]}"],
            [for layer in concat(each.value.reads, each.value.writes) : "${local.glue_arn}:table/${var.databases[layer]}/*"],
          )
        },
        {
          Sid    = "CommitTables"
          Effect = "Allow"
          Action = ["glue:UpdateTable"]
          Resource = concat(
            [for catalog in ["${local.glue_arn}:catalog"] : catalog if length(each.value.writes) > 0],
            [for layer in each.value.writes : "${local.glue_arn}:database/${var.databases[layer]}"],
            [for layer in each.value.writes : "${local.glue_arn}:table/${var.databases[layer]}/*"],
          )
        },
        {
          Sid      = "ReadFiles"
          Effect   = "Allow"
          Action   = ["s3:GetObject"]
          Resource = [for layer in each.value.reads : "${local.bucket_arns[layer]}/*"]
        },
        {
          Sid      = "WriteFiles"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
          Resource = [for layer in each.value.writes : "${local.bucket_arns[layer]}/*"]
        },
        {
          # Where the jobs that keep books in OPS may write anyway.
          Sid      = "AnswerRequests"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject"]
          Resource = [for place in ["requests/${each.key}/*"] : "${local.bucket_arns.ops}/${place}" if !contains(each.value.writes, "ops")]
        },
        {
          Sid      = "ReadContractsAndCode"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:GetObjectVersion"]
          Resource = ["${local.bucket_arns.contracts}/schemas/*", "${local.bucket_arns.artifacts}/glue/*"]
        },
        {
          Sid    = "SeeBuckets"
          Effect = "Allow"
          Action = ["s3:ListBucket", "s3:GetBucketLocation"]
          Resource = [
            for layer in distinct(concat(each.value.reads, each.value.writes, ["ops", "contracts", "artifacts"])) : local.bucket_arns[layer]
          ]
        },
        {
          Sid      = "ReadGate"
          Effect   = "Allow"
          Action   = ["dynamodb:GetItem", "dynamodb:BatchGetItem"]
          Resource = local.table_arns.processing_enabled
        },
        {
          Sid      = "KeepCheckpointsAndLocks"
          Effect   = "Allow"
          Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:Query"]
          Resource = [for table in ["checkpoints", "locks"] : local.table_arns[table] if length(each.value.writes) > 0]
        },
        {
          Sid    = "WriteLogs"
          Effect = "Allow"
          Action = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:AssociateKmsKey"]
          Resource = [
            "arn:${var.account.partition}:logs:${local.arn_tail}:log-group:/aws-glue/*",
            "arn:${var.account.partition}:logs:${local.arn_tail}:log-group:/aws-glue/*:*",
          ]
        },
        {
          Sid       = "WriteMetrics"
          Effect    = "Allow"
          Action    = ["cloudwatch:PutMetricData"]
          Resource  = "*" # CloudWatch knows no resource here; the condition narrows it
          Condition = { StringEquals = { "cloudwatch:namespace" = each.key == "reconcile" ? ["Glue", "ledgerlake"] : ["Glue"] } }
        },
      ],
      var.pii_salt_arn == "" || !contains(local.hashing, each.key) ? [] : [{
        Sid      = "ReadSalt"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = var.pii_salt_arn
      }],
      [for statement in local.publishes : statement if each.key == "rebuild"],
      local.use_the_key,
    ) : statement if length(flatten([statement.Resource])) > 0]
  })
}
