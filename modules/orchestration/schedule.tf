# The cycle by the clock; the toggle decides, and a cycle can always be started by hand.
#
# The scheduler delivers at least once, and cannot make a name for the execution: its times have colons. So it calls a function, which
# starts the cycle under a name made of the scheduled time: the second call finds the first one's cycle.
module "start_cycle" {
  source = "../function"

  name                  = "${var.name}-start-cycle"
  description           = "Starts the cycle of a scheduled time, once however often it is called."
  handler               = "ledgerlake.handlers.start_cycle.handle"
  package               = var.light_package
  architecture          = var.architecture
  settings              = var.settings
  memory_size           = 256
  timeout               = 30
  log_retention_days    = var.log_retention_days
  called_asynchronously = true
  on_failure_topic_arn  = var.alerts_topic_arn
  kms_key_arn           = var.kms_key_arn
  account               = var.account

  statements_json = jsonencode([
    {
      Sid      = "StartCycles"
      Effect   = "Allow"
      Action   = ["states:StartExecution"]
      Resource = aws_sfn_state_machine.cycle.arn
    },
    {
      Sid      = "SeeCycles"
      Effect   = "Allow"
      Action   = ["states:DescribeExecution"]
      Resource = "arn:${var.account.partition}:states:${local.arn_tail}:execution:${var.name}-cycle:*"
    },
  ])
}

resource "aws_iam_role" "schedule" {
  count = var.schedule_enabled ? 1 : 0

  name        = "${var.name}-cycle-schedule"
  description = "Lets the scheduler call ${var.name}-start-cycle, and nothing else."

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
        Sid      = "CallStartCycle"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = module.start_cycle.arn
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
    arn      = module.start_cycle.arn
    role_arn = aws_iam_role.schedule[0].arn

    # jsonencode writes < and > as escapes, in which the scheduler would not see its own keyword.
    input = replace(replace(jsonencode({
      state_machine_arn = aws_sfn_state_machine.cycle.arn
      scheduled_time    = "<aws.scheduler.scheduled-time>"
    }), "\\u003c", "<"), "\\u003e", ">")

    retry_policy {
      maximum_retry_attempts       = 2
      maximum_event_age_in_seconds = 600
    }
  }
}
