"""Where a message goes that can never become a RAW row: its topic's dead-letter queue, whole, with its reason."""

import re
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

# What SQS accepts in a body or an attribute (XML 1.0's characters); a reason may quote what it does not.
_REFUSED_BY_SQS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
MAX_REASON = 1000
# The attribute that keeps which message of the topic's queue a dead letter was: sending it on gives it a new SQS id.
ORIGINAL_ID = "sqs.original_message_id"


class DeadLetters:
    """The dead-letter queues of all topics, `<queue_prefix><topic>-dlq`."""

    def __init__(self, sqs: "SQSClient", queue_prefix: str) -> None:
        self._sqs = sqs
        self._queue_prefix = queue_prefix
        self._urls: dict[str, str] = {}

    def send(self, topic: str, body: str, code: str, reason: str, *, source: str = "sqs", sqs_id: str = "") -> bool:
        """Send a message with `error_code` and `reason`; tell whether SQS has it, for only then may it be let go.

        `sqs_id` is the id it has on the topic's queue, when it came from there.
        """
        given = {"error_code": code, "reason": reason, "source": source} | ({ORIGINAL_ID: sqs_id} if sqs_id else {})
        attributes: dict[str, MessageAttributeValueTypeDef] = {
            name: {"DataType": "String", "StringValue": _sendable(value)} for name, value in given.items()
        }
        try:
            self._sqs.send_message(QueueUrl=self._url(topic), MessageBody=body, MessageAttributes=attributes)
        except (ClientError, BotoCoreError):
            return False
        return True

    def _url(self, topic: str) -> str:
        if topic not in self._urls:
            name = f"{self._queue_prefix}{topic}-dlq"
            self._urls[topic] = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
        return self._urls[topic]


def _sendable(text: str) -> str:
    return _REFUSED_BY_SQS.sub("\ufffd", text)[:MAX_REASON] or "-"
