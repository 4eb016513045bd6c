# What personal data is hashed with (a contract's `pii`: sha256). Made once and never seen: it stands in no plan and no state.
# A module of its own, because Terraform's tests have no mocks for ephemeral resources: they put this module in its place.
resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV_AWS_149:The key is the environment's choice, kms_key_arn; checkov sees its empty default
  #checkov:skip=CKV2_AWS_57:Another salt would give the same person another hash, and what was written would match nothing any more

  name                    = var.name
  description             = "ledgerlake: the salt of hashed personal data. Whoever changes it changes every hash."
  kms_key_id              = var.kms_key_arn == "" ? null : var.kms_key_arn
  recovery_window_in_days = var.force_destroy ? 0 : 30
}

ephemeral "aws_secretsmanager_random_password" "this" {
  password_length     = 64
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret_version" "this" {
  secret_id                = aws_secretsmanager_secret.this.id
  secret_string_wo         = ephemeral.aws_secretsmanager_random_password.this.random_password
  secret_string_wo_version = 1
}
