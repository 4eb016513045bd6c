import json

import pytest

from ledgerlake.handlers import clients

LAYERS = ("landing", "raw", "standardized", "curated", "gold", "ops", "contracts", "artifacts")


@pytest.fixture
def lambda_environment(monkeypatch):
    """The settings a Lambda function is given, and its context's attributes."""
    settings = {
        "prefix": "lake",
        "region": "eu-central-1",
        "buckets": {layer: f"lake-{layer}" for layer in LAYERS},
        "databases": {layer: f"lake_{layer}" for layer in ("raw", "standardized", "curated", "gold", "ops")},
        "dynamodb_tables": {
            name: f"lake-{name}"
            for name in (
                "checkpoints",
                "locks",
                "processing_enabled",
                "idempotency_keys",
                "file_registry",
                "circuit_breakers",
            )
        },
        "firehose_name": "lake-raw",
        "queue_prefix": "lake-",
    }
    monkeypatch.setenv("LEDGERLAKE_SETTINGS", json.dumps(settings))
    for name, value in {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    made_at_the_edge = (clients.settings, clients.sqs, clients.firehose, clients.s3, clients.dynamodb)
    for make in made_at_the_edge:
        make.cache_clear()
    yield {
        "function_name": "lake-function",
        "function_version": "1",
        "memory_limit_in_mb": 256,
        "invoked_function_arn": "arn:aws:lambda:eu-central-1:123456789012:function:lake-function",
        "aws_request_id": "request-1",
    }
    for make in made_at_the_edge:
        make.cache_clear()
