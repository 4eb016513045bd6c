"""The event source mappings through which Lambda takes messages off the topics' queues."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

# A mapping changes its state within a minute or so; what it is about to be counts.
_ON = ("Enabled", "Enabling", "Creating")


class Mappings:
    """The mappings of the queues `<queue_prefix><topic>`."""

    def __init__(self, functions: "LambdaClient", sqs: "SQSClient", queue_prefix: str) -> None:
        self._functions = functions
        self._sqs = sqs
        self._queue_prefix = queue_prefix

    def take(self, topic: str, taken: bool) -> None:
        """Have a topic's messages taken, or left on the queue. What was received already is still worked on.

        A topic that was removed has none. Raises ClientError, `ResourceInUseException` while another change is made.
        """
        try:
            queue = self._queue(topic)
        except self._sqs.exceptions.QueueDoesNotExist:
            return
        pages = self._functions.get_paginator("list_event_source_mappings").paginate(EventSourceArn=queue)
        for mapping in [mapping for page in pages for mapping in page["EventSourceMappings"]]:
            if (mapping["State"] in _ON) is not taken:
                self._functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=taken)

    def _queue(self, topic: str) -> str:
        url = self._sqs.get_queue_url(QueueName=f"{self._queue_prefix}{topic}")["QueueUrl"]
        return self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
