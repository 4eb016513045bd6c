"""Step Functions retries by the class's name: what may pass has one name."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError, ReadTimeoutError

from ledgerlake.errors import TerminalError, TransientError
from ledgerlake.handlers.transient import transient_by_name
from ledgerlake.state.checkpoints import CheckpointMoved


def refused(code, status):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetTable")


def handler_that_raises(error):
    @transient_by_name
    def handle(event, context):
        raise error

    return handle


@pytest.mark.parametrize(
    "error",
    [
        CheckpointMoved("another run was faster"),
        refused("ThrottlingException", 400),
        refused("InternalFailure", 500),
        EndpointConnectionError(endpoint_url="https://glue"),
        ReadTimeoutError(endpoint_url="https://glue"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_is_named_transient_and_keeps_its_own_name_in_the_message(error):
    with pytest.raises(TransientError) as left:
        handler_that_raises(error)({}, None)
    assert type(left.value) is TransientError
    assert type(error).__name__ in str(left.value)


@pytest.mark.parametrize(
    "error",
    [
        TerminalError("no"),
        refused("AccessDeniedException", 403),
        ParamValidationError(report="no name"),
        ValueError("a defect"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_stays_keeps_its_type(error):
    with pytest.raises(type(error)) as left:
        handler_that_raises(error)({}, None)
    assert left.value is error
