mock_provider "aws" {
  override_during = plan

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:mocked" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:mocked" }
  }

  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:ledgerlake-test-cycle" }
  }
}

variables {
  name = "ledgerlake-test"
  account = {
    id        = "123456789012"
    region    = "eu-central-1"
    partition = "aws"
  }

  buckets = {
    raw = "t-raw", standardized = "t-standardized", curated = "t-curated", ops = "t-ops", contracts = "t-contracts", artifacts = "t-artifacts"
  }
  databases        = { raw = "t_raw", standardized = "t_standardized", curated = "t_curated", ops = "t_ops" }
  dynamodb_tables  = { checkpoints = "t-checkpoints", locks = "t-locks", processing_enabled = "t-processing-enabled" }
  settings         = "{}"
  light_package    = { bucket = "t-artifacts", key = "lambda/light.zip", hash = "aGFzaA==" }
  lake_package     = { bucket = "t-artifacts", key = "lambda/lake.zip", hash = "aGFzaA==" }
  alerts_topic_arn = "arn:aws:sns:eu-central-1:123456789012:ledgerlake-test-alerts"
  job_files = {
    bucket       = "t-artifacts"
    wheel        = "glue/1/ledgerlake.whl"
    dependencies = "glue/2/dependencies.gluewheels.zip"
    scripts = {
      standardize = "glue/3/standardize.py"
      curate      = "glue/4/curate.py"
      replay      = "glue/5/replay.py"
      reprocess   = "glue/6/reprocess.py"
      rebuild     = "glue/8/rebuild.py"
      reconcile   = "glue/7/reconcile.py"
      rehearse    = "glue/8/rehearse.py"
    }
  }
}

run "by_default" {
  command = plan

  # A cycle has the states of the design.
  assert {
    condition = toset(keys(jsondecode(aws_sfn_state_machine.cycle.definition).States)) == toset([
      "PlanCycle", "HasWork", "NothingToDo", "RunStandardized", "CheckCuratedReady", "IsCuratedReady",
      "SuccessStandardizedOnly", "RunCurated", "Reconcile", "IsBalanced", "SuccessFull", "HandleError", "Failed",
    ])
    error_message = "The cycle's states are an agreement (design 3.5)."
  }

  assert {
    condition = alltrue([
      for name, state in jsondecode(aws_sfn_state_machine.cycle.definition).States :
      name == "HandleError" || try(one(state.Catch).Next, "") == "HandleError" if contains(["Task", "Map"], state.Type)
    ])
    error_message = "Every step that can fail must end in HandleError."
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.cycle.definition).States.IsCuratedReady.Default == "RunCurated"
    error_message = "A cycle with failed topics must reach Reconcile, which names them in the alert."
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.cycle.definition).States.Failed.Type == "Fail"
    error_message = "A failed cycle must end as failed."
  }

  assert {
    condition = alltrue([
      for stage in ["RunStandardized", "RunCurated"] :
      jsondecode(aws_sfn_state_machine.cycle.definition).States[stage].MaxConcurrency == var.max_concurrent_runs
    ])
    error_message = "No more Glue runs at a time than max_concurrent_runs."
  }

  # Jobs run Glue 5.1 with Iceberg and the wheel.
  assert {
    condition     = { for name, job in aws_glue_job.this : name => job.name } == { for name in keys(var.job_files.scripts) : name => "ledgerlake-test-${name}" }
    error_message = "A job's name is the environment's and its own; each script is one."
  }

  assert {
    condition     = length(setintersection([for role in aws_iam_role.job : role.name], [for step in module.step : step.name])) == 0
    error_message = "A job's role must not have the name of a function's: reconcile is both a job and a function."
  }

  assert {
    condition = alltrue([
      for stage, job in aws_glue_job.this :
      job.glue_version == "5.1"
      && job.default_arguments["--datalake-formats"] == "iceberg"
      && job.default_arguments["--extra-py-files"] == "s3://t-artifacts/glue/1/ledgerlake.whl"
      && job.default_arguments["--additional-python-modules"] == "s3://t-artifacts/glue/2/dependencies.gluewheels.zip"
      && strcontains(job.default_arguments["--conf"], "spark.sql.catalog.lake.cache-enabled=false")
      && job.default_arguments["--ledgerlake_settings"] == "{}"
    ])
    error_message = "Jobs need Iceberg, the wheel, its dependencies, an uncached catalogue and the settings."
  }

  assert {
    condition     = alltrue([for job in aws_glue_job.this : one(job.execution_property).max_concurrent_runs == 5 && job.max_retries == 0])
    error_message = "The next cycle retries, not Glue, and several runs may go at a time."
  }

  assert {
    condition     = length(aws_glue_security_configuration.this) == 0
    error_message = "Without a key there is no security configuration."
  }

  # A job writes only its own layers.
  assert {
    condition = {
      for stage, policy in aws_iam_role_policy.job :
      stage => flatten([for s in jsondecode(policy.policy).Statement : s.Resource if s.Sid == "WriteFiles"])
      } == {
      standardize = ["arn:aws:s3:::t-standardized/*", "arn:aws:s3:::t-ops/*"]
      curate      = ["arn:aws:s3:::t-curated/*", "arn:aws:s3:::t-ops/*"]
      replay      = ["arn:aws:s3:::t-curated/*", "arn:aws:s3:::t-ops/*"]
      reprocess   = ["arn:aws:s3:::t-standardized/*", "arn:aws:s3:::t-curated/*", "arn:aws:s3:::t-ops/*"]
      rebuild     = ["arn:aws:s3:::t-standardized/*", "arn:aws:s3:::t-curated/*", "arn:aws:s3:::t-ops/*"]
      reconcile   = ["arn:aws:s3:::t-ops/*"]
      rehearse    = []
    }
    error_message = "standardize writes STANDARDIZED, curate and replay CURATED, reprocess and rebuild both, reconcile neither; all keep their books in OPS, but for rehearse, which writes no table."
  }

  assert {
    condition     = [for job, policy in aws_iam_role_policy.job : job if contains([for s in jsondecode(policy.policy).Statement : s.Sid], "OpenTheGate")] == ["rebuild"]
    error_message = "Only the job that publishes contracts opens the gate."
  }

  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.job : [
        for s in jsondecode(policy.policy).Statement :
        !contains(flatten([s.Resource]), "*") || try(length(setsubtract(s.Condition.StringEquals["cloudwatch:namespace"], ["Glue", "ledgerlake"])) == 0, false)
      ]
    ]))
    error_message = "A job's role names its resources; only metrics have none, and are bound to Glue's namespace and ours."
  }

  # A rehearsal reads and leaves its report.
  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.job["rehearse"].policy).Statement :
      s.Sid => s.Resource
      if anytrue([for action in s.Action : length(regexall("Put|Update|Delete|Create", action)) > 0]) && !contains(["WriteLogs", "WriteMetrics"], s.Sid)
    } == { AnswerRequests = ["arn:aws:s3:::t-ops/requests/rehearse/*"] }
    error_message = "A rehearsal changes neither tables nor checkpoints: its role writes the report and nothing else."
  }

  assert {
    condition     = toset([for job, policy in aws_iam_role_policy.job : job if contains([for s in jsondecode(policy.policy).Statement : s.Sid], "AnswerRequests")]) == toset(["rehearse"])
    error_message = "The other jobs may write in OPS anyway."
  }

  # A cycle may start its steps and jobs and nothing else.
  assert {
    condition = one([for s in jsondecode(aws_iam_role_policy.cycle.policy).Statement : s.Resource if s.Sid == "RunJobs"]) == [
      "arn:aws:glue:eu-central-1:123456789012:job/ledgerlake-test-curate",
      "arn:aws:glue:eu-central-1:123456789012:job/ledgerlake-test-standardize",
    ]
    error_message = "The state machine may run these two jobs."
  }

  assert {
    condition     = one([for s in jsondecode(aws_iam_role_policy.cycle.policy).Statement : s.Resource if s.Sid == "RaiseAlerts"]) == var.alerts_topic_arn
    error_message = "The state machine may publish to the alerts topic."
  }

  # The schedule is on every 15 minutes.
  assert {
    condition     = one(aws_scheduler_schedule.cycle).schedule_expression == "rate(15 minutes)" && length(aws_iam_role.schedule) == 1
    error_message = "Cycles start every 15 minutes by default."
  }

  assert {
    condition = one(one(aws_scheduler_schedule.cycle).target).input == join("", [
      "{\"scheduled_time\":\"<aws.scheduler.scheduled-time>\",",
      "\"state_machine_arn\":\"arn:aws:states:eu-central-1:123456789012:stateMachine:ledgerlake-test-cycle\"}",
    ])
    error_message = "The scheduler must see its keyword unescaped: the cycle's name is made of the scheduled time."
  }

  assert {
    condition = (
      one(one(aws_scheduler_schedule.cycle).target).arn == module.start_cycle.arn
      && one([for s in jsondecode(one(aws_iam_role_policy.schedule).policy).Statement : s.Resource if s.Sid == "CallStartCycle"]) == module.start_cycle.arn
    )
    error_message = "The schedule calls start_cycle, and its role may call nothing else."
  }

  # Without a salt no job may read secrets.
  assert {
    condition     = alltrue([for policy in aws_iam_role_policy.job : !strcontains(policy.policy, "secretsmanager")])
    error_message = "There is no secret to read."
  }

  # The ledger is checked every hour and wholly every day.
  assert {
    condition     = { for name, schedule in aws_scheduler_schedule.reconcile : name => schedule.schedule_expression } == { reconcile-window = "rate(1 hour)", reconcile-full = "cron(30 2 * * ? *)" }
    error_message = "A recent window every hour, everything once a day."
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.reconcile["reconcile-full"].target[0].input).JobName == "ledgerlake-test-reconcile"
    error_message = "All of it is the Glue job's."
  }

  # A reconciliation writes nothing but the books.
  assert {
    condition     = toset(local.jobs.reconcile.writes) == toset(["ops"])
    error_message = "The full reconciliation reads the layers and writes to ops only."
  }

  assert {
    condition = alltrue([
      for job, policy in aws_iam_role_policy.job : alltrue([
        for s in jsondecode(policy.policy).Statement : contains(s.Condition.StringEquals["cloudwatch:namespace"], "ledgerlake") == (job == "reconcile")
        if s.Sid == "WriteMetrics"
      ])
    ])
    error_message = "Of the jobs only the reconciliation tells how much is missing."
  }

  assert {
    condition     = alltrue([for statement in local.reconcile_statements : !anytrue([for action in statement.Action : startswith(action, "s3:Put") || startswith(action, "s3:Delete")])])
    error_message = "A windowed reconciliation only reads rows."
  }
}

# A proof of docs/guarantees.md.
run "what_helps_is_tried_again_and_nothing_else" {
  command = plan

  assert {
    condition = alltrue([
      for name in ["PlanCycle", "CheckCuratedReady", "Reconcile"] :
      contains(flatten(jsondecode(aws_sfn_state_machine.cycle.definition).States[name].Retry[*].ErrorEquals), "TransientError")
      && !contains(flatten(jsondecode(aws_sfn_state_machine.cycle.definition).States[name].Retry[*].ErrorEquals), "States.ALL")
    ])
    error_message = "A step that failed for now is tried again, one that said no is not."
  }

  assert {
    condition = alltrue(flatten([
      for map in ["RunStandardized", "RunCurated"] : [
        for state in values(jsondecode(aws_sfn_state_machine.cycle.definition).States[map].ItemProcessor.States) : [
          for error in flatten(state.Retry[*].ErrorEquals) : startswith(error, "Glue.")
        ] if state.Type == "Task"
      ]
    ]))
    error_message = "A run that began is never started again by its cycle: its dead locks would turn the failure into a skip."
  }

  assert {
    condition     = flatten(jsondecode(aws_sfn_state_machine.cycle.definition).States.HandleError.Retry[*].ErrorEquals) == ["States.ALL"]
    error_message = "The alert is tried again whatever SNS said."
  }

  assert {
    condition = alltrue([
      for map in ["RunStandardized", "RunCurated"] : alltrue([
        for state in values(jsondecode(aws_sfn_state_machine.cycle.definition).States[map].ItemProcessor.States) :
        one(state.Catch).ErrorEquals == ["States.ALL"] if state.Type == "Task"
      ])
    ])
    error_message = "A run that fails must not end the runs beside it."
  }
}

run "the_schedule_can_be_left_out" {
  command = plan

  variables {
    schedule_enabled = false
  }

  assert {
    condition     = length(aws_scheduler_schedule.cycle) + length(aws_iam_role.schedule) + length(aws_iam_role_policy.schedule) == 0
    error_message = "schedule_enabled = false must leave neither schedule nor role."
  }
}

run "a_key_is_used_by_jobs_state_machine_and_logs" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
  }

  assert {
    condition     = alltrue([for job in aws_glue_job.this : job.security_configuration == one(aws_glue_security_configuration.this).name])
    error_message = "Jobs must run with the security configuration of the key."
  }

  assert {
    condition     = one(aws_sfn_state_machine.cycle.encryption_configuration).kms_key_id == var.kms_key_arn && aws_cloudwatch_log_group.cycle.kms_key_id == var.kms_key_arn
    error_message = "Executions and their logs must be encrypted with the key."
  }

  assert {
    condition = alltrue([
      for policy in concat(values(aws_iam_role_policy.job), [aws_iam_role_policy.cycle, one(aws_iam_role_policy.schedule)]) :
      contains([for s in jsondecode(policy.policy).Statement : s.Sid], "UseTheKey")
    ])
    error_message = "Every role must be allowed to use the key."
  }
}

run "the_salt_is_read_by_the_jobs_that_type_rows_and_no_others" {
  command = plan

  variables {
    pii_salt_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:t-pii-salt-AbCdEf"
  }

  assert {
    condition = toset([
      for name, policy in aws_iam_role_policy.job : name
      if contains([for s in jsondecode(policy.policy).Statement : s.Resource if s.Sid == "ReadSalt"], var.pii_salt_arn)
    ]) == toset(["curate", "rebuild", "rehearse", "replay", "reprocess"])
    error_message = "Only the jobs that type rows may read the salt."
  }
}

run "limits_are_checked_before_aws_refuses_them" {
  command = plan

  variables {
    glue                = { worker_type = "Standard", workers = 1, timeout_minutes = 0 }
    max_concurrent_runs = 41
    schedule            = "hourly"
  }

  expect_failures = [var.glue, var.max_concurrent_runs, var.schedule]
}

run "every_job_needs_its_script" {
  command = plan

  variables {
    job_files = {
      bucket       = "t-artifacts"
      wheel        = "glue/1/ledgerlake.whl"
      dependencies = "glue/2/dependencies.gluewheels.zip"
      scripts      = { standardize = "glue/3/standardize.py", load = "glue/4/load.py" }
    }
  }

  expect_failures = [var.job_files]
}

run "reconciliations_can_be_left_to_calls_by_hand" {
  command = plan

  variables {
    reconciliation = { schedule_enabled = false, full_enabled = false }
  }

  assert {
    condition     = length(aws_scheduler_schedule.reconcile) == 0 && length(aws_iam_role.reconcile_schedule) == 0
    error_message = "Without schedules there is nothing for the scheduler to do."
  }
}
