# The cycle by the clock; the toggle decides, and a cycle can always be started by hand.
resource "aws_iam_role" "schedule" {
  count = var.schedule_enabled ? 1 : 0

  name        = "${var.name}-cycle-schedule"
  description = "Lets the scheduler start ${var.name}-cycle, and nothing else."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "schedule" {
  count = var.schedule_enabled ? 1 : 0

  name = "own"
  role = aws_iam_role.schedule[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "StartCycles"
        Effect   = "Allow"
        Action   = ["states:StartExecution"]
        Resource = aws_sfn_state_machine.cycle.arn
      }],
      local.use_the_key,
    )
  })
}

resource "aws_scheduler_schedule" "cycle" {
  #checkov:skip=CKV_AWS_297:The key is the environment's choice, kms_key_arn; checkov sees its empty default

  count = var.schedule_enabled ? 1 : 0

  name                = "${var.name}-cycle"
  description         = "Starts a cycle."
  schedule_expression = var.schedule
  kms_key_arn         = var.kms_key_arn == "" ? null : var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.cycle.arn
    role_arn = aws_iam_role.schedule[0].arn
    input    = "{}"

    retry_policy {
      maximum_retry_attempts       = 2
      maximum_event_age_in_seconds = 600
    }
  }
}
