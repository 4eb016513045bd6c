# Transient state: all of it can be lost and is rebuilt from what the tables say, or simply expires.
locals {
  state_tables = {
    checkpoints        = { hash = "topic", range = "stage", ttl = "" }
    locks              = { hash = "topic", range = "", ttl = "expires_at" }
    processing_enabled = { hash = "topic", range = "", ttl = "" }
    idempotency_keys   = { hash = "id", range = "", ttl = "expiration" }
    file_registry      = { hash = "object", range = "version", ttl = "" }
    circuit_breakers   = { hash = "topic", range = "", ttl = "" }
  }
}

resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_119:The key is the environment's choice, kms_key_arn; checkov sees its empty default

  for_each = local.state_tables

  name                        = var.dynamodb_tables[each.key]
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = each.value.hash
  range_key                   = each.value.range == "" ? null : each.value.range
  deletion_protection_enabled = var.deletion_protection

  dynamic "attribute" {
    for_each = [for name in [each.value.hash, each.value.range] : name if name != ""]

    content {
      name = attribute.value
      type = "S"
    }
  }

  dynamic "ttl" {
    for_each = each.value.ttl == "" ? [] : [each.value.ttl]

    content {
      attribute_name = ttl.value
      enabled        = true
    }
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != ""
    kms_key_arn = var.kms_key_arn == "" ? null : var.kms_key_arn
  }
}
