"""What seeding sends, and how it deals with a queue that refuses."""

import json

import pytest

from ledgerlake.ops.seed import MAX_BYTES, NotSentError, batches, earthquakes, send


class Queue:
    """An SQS queue that fails each message's first `failures` attempts."""

    def __init__(self, failures=0, sender_fault=False):
        self.failures = failures
        self.sender_fault = sender_fault
        self.attempts = {}
        self.bodies = []

    def send_message_batch(self, QueueUrl, Entries):
        failed = []
        for entry in Entries:
            body = entry["MessageBody"]
            self.attempts[body] = self.attempts.get(body, 0) + 1
            if self.attempts[body] > self.failures:
                self.bodies.append(body)
            else:
                failed.append({"Id": entry["Id"], "Code": "Busy", "SenderFault": self.sender_fault})
        return {"Successful": [], "Failed": failed}


def test_all_messages_are_sent_once():
    queue = Queue()
    bodies = [str(n) for n in range(57)]
    assert send(queue, "q", bodies) == 57
    assert sorted(queue.bodies) == sorted(bodies)


def test_what_the_queue_failed_to_take_is_sent_again():
    queue = Queue(failures=2)
    send(queue, "q", ["a", "b"])
    assert sorted(queue.bodies) == ["a", "b"]


def test_a_message_the_queue_never_takes_is_an_error():
    with pytest.raises(NotSentError, match="refused 1 messages: Busy"):
        send(Queue(failures=1, sender_fault=True), "q", ["a"])


def test_no_batch_is_larger_than_sqs_takes():
    sizes = [len(batch) for batch in batches(["x"] * 25)]
    assert sizes == [10, 10, 5]
    large = "y" * (MAX_BYTES // 2)
    assert [len(batch) for batch in batches([large] * 3)] == [2, 1]


def test_earthquakes_go_half_by_queue_and_half_by_file_with_their_payload_unchanged():
    lines = [json.dumps({"id": f"ci{n}", "properties": {"updated": 1517966996303 + n}}, indent=None) for n in range(8)]
    first, second = earthquakes(lines)
    sent = [json.loads(body) for day in (first, second) for body in day.bodies]
    assert sorted([m["json_payload"] for m in sent] + [*first.lines, *second.lines]) == sorted(lines)
    assert len(sent) == 4
    assert sent[0]["publish_time"] == "2018-02-07T01:29:56.303Z"
    assert max(m["publish_time"] for m in sent[:2]) < min(m["publish_time"] for m in sent[2:])
