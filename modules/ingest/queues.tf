# One queue a topic, and behind each a dead-letter queue that keeps what could not go on until it is drained or redriven.
locals {
  queue_policy = !var.require_tls ? null : {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DenyInsecureTransport"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  }
}

resource "aws_sqs_queue" "dlq" {
  #checkov:skip=CKV_AWS_27:The key is the environment's choice, kms_key_arn; checkov sees its empty default

  for_each = var.topics

  name                              = "${var.queue_prefix}${each.value}-dlq"
  message_retention_seconds         = 1209600 # 14 days, the longest there is: time to notice and to act
  visibility_timeout_seconds        = 6 * var.drain_timeout
  sqs_managed_sse_enabled           = var.kms_key_arn == "" ? true : null
  kms_master_key_id                 = var.kms_key_arn == "" ? null : var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == "" ? null : 3600

  policy = local.queue_policy == null ? null : jsonencode(merge(local.queue_policy, {
    Statement = [for s in local.queue_policy.Statement : merge(s, {
      Resource = "${local.sqs_arn}:${var.queue_prefix}${each.value}-dlq"
    })]
  }))

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = ["${local.sqs_arn}:${var.queue_prefix}${each.value}"]
  })
}

resource "aws_sqs_queue" "this" {
  #checkov:skip=CKV_AWS_27:The key is the environment's choice, kms_key_arn; checkov sees its empty default

  for_each = var.topics

  name                      = "${var.queue_prefix}${each.value}"
  message_retention_seconds = 1209600
  # AWS asks for six times the timeout of the function that polls, so that a batch is not handed out twice while it is worked on.
  visibility_timeout_seconds        = 6 * var.processor_timeout
  sqs_managed_sse_enabled           = var.kms_key_arn == "" ? true : null
  kms_master_key_id                 = var.kms_key_arn == "" ? null : var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == "" ? null : 3600

  # Policy and redrive policy are set here, not as resources of their own: each of those would wait 25 s for itself.
  policy = local.queue_policy == null ? null : jsonencode(merge(local.queue_policy, {
    Statement = [for s in local.queue_policy.Statement : merge(s, {
      Resource = "${local.sqs_arn}:${var.queue_prefix}${each.value}"
    })]
  }))

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dlq[each.value].arn
    maxReceiveCount     = var.max_receive_count
  })
}
