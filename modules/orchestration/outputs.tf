output "state_machine_arn" {
  description = "The state machine that runs a cycle."
  value       = aws_sfn_state_machine.cycle.arn
}

output "glue_job_names" {
  description = "Glue job names by stage."
  value       = { for stage, job in aws_glue_job.this : stage => job.name }
}

output "lambda_names" {
  description = "Function names by handler."
  value = merge(
    { for name, function in module.step : name => function.name },
    { start_cycle = module.start_cycle.name, reconcile_window = module.reconcile_window.name },
  )
}
