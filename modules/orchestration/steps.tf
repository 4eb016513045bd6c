# The cycle's Lambdas: they read tables' metadata, decide, and keep the books; none of them moves rows.
locals {
  read_catalog = {
    Sid    = "ReadCatalog"
    Effect = "Allow"
    Action = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables"]
    Resource = concat(
      ["${local.glue_arn}:catalog"],
      [for database in values(var.databases) : "${local.glue_arn}:database/${database}"],
      [for database in values(var.databases) : "${local.glue_arn}:table/${database}/*"],
    )
  }

  read_metadata = {
    Sid      = "ReadMetadata"
    Effect   = "Allow"
    Action   = ["s3:GetObject"]
    Resource = [for layer in ["raw", "standardized", "curated"] : "${local.bucket_arns[layer]}/*/metadata/*"]
  }

  see_buckets = {
    Sid      = "SeeBuckets"
    Effect   = "Allow"
    Action   = ["s3:ListBucket"]
    Resource = [for layer in ["raw", "standardized", "curated", "ops"] : local.bucket_arns[layer]]
  }

  keep_books = [
    {
      Sid    = "CommitToOps"
      Effect = "Allow"
      Action = ["glue:UpdateTable"]
      Resource = [
        "${local.glue_arn}:catalog",
        "${local.glue_arn}:database/${var.databases.ops}",
        "${local.glue_arn}:table/${var.databases.ops}/*",
      ]
    },
    {
      Sid      = "WriteOps"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
      Resource = "${local.bucket_arns.ops}/*"
    },
  ]

  # Reconcile marks the errors whose edited records have come in; it reads STANDARDIZED to see whether they have.
  answer_errors = [
    {
      Sid      = "ReadReplacements"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = "${local.bucket_arns.standardized}/*"
    },
    {
      Sid    = "CommitToErrors"
      Effect = "Allow"
      Action = ["glue:UpdateTable"]
      Resource = [
        "${local.glue_arn}:catalog",
        "${local.glue_arn}:database/${var.databases.standardized}",
        "${local.glue_arn}:table/${var.databases.standardized}/parse_errors",
        "${local.glue_arn}:database/${var.databases.curated}",
        "${local.glue_arn}:table/${var.databases.curated}/errors",
      ]
    },
    {
      Sid      = "WriteErrors"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
      Resource = ["${local.bucket_arns.standardized}/parse_errors/*", "${local.bucket_arns.curated}/errors/*"]
    },
  ]

  pin_batches = {
    Sid      = "PinBatches"
    Effect   = "Allow"
    Action   = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    Resource = local.table_arns.checkpoints
  }

  read_gate = {
    Sid      = "ReadGate"
    Effect   = "Allow"
    Action   = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"]
    Resource = [local.table_arns.processing_enabled, local.table_arns.locks]
  }

  steps = {
    plan_cycle          = { description = "Pins each topic's batch and splits the topics over Glue runs.", memory = 2048, timeout = 900 }
    check_curated_ready = { description = "Sees what was standardized and plans what is to be curated.", memory = 2048, timeout = 900 }
    reconcile           = { description = "Compares what came in with where it ended, for every topic of a cycle.", memory = 2048, timeout = 900 }
  }
}

module "step" {
  source   = "../function"
  for_each = local.steps

  name               = "${var.name}-${replace(each.key, "_", "-")}"
  description        = each.value.description
  handler            = "ledgerlake.handlers.${each.key}.handle"
  package            = var.lake_package
  architecture       = var.architecture
  settings           = var.settings
  memory_size        = each.value.memory
  timeout            = each.value.timeout
  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  account            = var.account

  statements_json = jsonencode(concat(
    [local.read_catalog, local.read_metadata, local.see_buckets, local.pin_batches, local.read_gate],
    local.keep_books,
    [for statement in concat(local.reconcile_statements, local.answer_errors) : statement if each.key == "reconcile"],
  ))
}
