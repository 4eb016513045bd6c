"""What Step Functions must know of a step's failure: it goes by the class's name alone, and knows no subclasses."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as Unreachable

from ledgerlake.errors import TransientError

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]

THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


def transient_by_name(handler: Handler) -> Handler:
    """Let every failure that may pass by itself leave the handler as TransientError, which the state machine retries.

    These are our own transient errors, and AWS not answering, failing, or asking for less after the client's own tries.
    """

    @wraps(handler)
    def named(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        try:
            return handler(event, context)
        except Exception as error:
            if not may_pass(error):
                raise
            raise TransientError(f"{type(error).__name__}: {error}") from error

    return named


def may_pass(error: Exception) -> bool:
    """Whether trying again later may help."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or error.response.get("Error", {}).get("Code") in THROTTLED
    return isinstance(error, TransientError | HTTPClientError | Unreachable)
