"""A function's settings and AWS clients: made at the first use, kept while its execution environment lives."""

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from ledgerlake import failpoints
from ledgerlake.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBServiceResource
    from mypy_boto3_firehose import FirehoseClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

# Standard mode backs off with jitter and counts throttling; five attempts stay well within every function's timeout.
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=60)


@cache
def settings() -> Settings:
    """Return the environment's settings. Raises MissingSettings when the function was deployed without them."""
    found = Settings.from_env()
    failpoints.arm(found.failpoints)
    return found


@cache
def sqs() -> "SQSClient":
    """Return the SQS client."""
    return boto3.client("sqs", region_name=settings().region, config=_CONFIG)


@cache
def firehose() -> "FirehoseClient":
    """Return the Firehose client."""
    return boto3.client("firehose", region_name=settings().region, config=_CONFIG)


@cache
def state_machines() -> "SFNClient":
    """Return the Step Functions client."""
    return boto3.client("stepfunctions", region_name=settings().region, config=_CONFIG)


@cache
def s3() -> "S3Client":
    """Return the S3 client."""
    return boto3.client("s3", region_name=settings().region, config=_CONFIG)


@cache
def cloudwatch() -> "CloudWatchClient":
    """Return the CloudWatch client."""
    return boto3.client("cloudwatch", region_name=settings().region, config=_CONFIG)


@cache
def glue() -> "GlueClient":
    """Return the Glue client."""
    return boto3.client("glue", region_name=settings().region, config=_CONFIG)


@cache
def dynamodb() -> "DynamoDBServiceResource":
    """Return the DynamoDB resource."""
    return boto3.resource("dynamodb", region_name=settings().region, config=_CONFIG)
