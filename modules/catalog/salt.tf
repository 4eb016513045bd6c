# What personal data is hashed with (a contract's `pii`: sha256). AWS draws another password at each plan; only the first is written, since a
# write-only argument is written when its version changes. An ephemeral value would stand in no state at all, but Terraform's tests have no
# mocks for those: one of them fails every test of this module.
resource "aws_secretsmanager_secret" "pii_salt" {
  #checkov:skip=CKV_AWS_149:The key is the environment's choice, kms_key_arn; checkov sees its empty default
  #checkov:skip=CKV2_AWS_57:Another salt would give the same person another hash, and what was written would match nothing any more

  count = var.pii_salt_enabled ? 1 : 0

  name                    = var.pii_salt_name
  description             = "ledgerlake: the salt of hashed personal data. Whoever changes it changes every hash."
  kms_key_id              = var.kms_key_arn == "" ? null : var.kms_key_arn
  recovery_window_in_days = var.force_destroy ? 0 : 30
}

data "aws_secretsmanager_random_password" "pii_salt" {
  count = var.pii_salt_enabled ? 1 : 0

  password_length     = 64
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret_version" "pii_salt" {
  count = var.pii_salt_enabled ? 1 : 0

  secret_id                = aws_secretsmanager_secret.pii_salt[0].id
  secret_string_wo         = data.aws_secretsmanager_random_password.pii_salt[0].random_password
  secret_string_wo_version = 1
}
