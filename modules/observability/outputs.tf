output "alerts_topic_arn" {
  description = "The SNS topic that learns of failed cycles and of alarms."
  value       = aws_sns_topic.alerts.arn
}
