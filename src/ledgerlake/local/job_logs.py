"""A Glue run's output and errors in CloudWatch Logs, as they come."""

import contextlib
import logging
import queue
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

from ledgerlake.local.credentials import RoleSession

OUTPUT_GROUP = "/aws-glue/jobs/output"
ERROR_GROUP = "/aws-glue/jobs/error"
SEND_EVERY = 0.5
EVENTS_PER_CALL = 1_000

logger = logging.getLogger("ledgerlake.local.glue")


class JobLogs:
    """Sends lines as the job's role, in the background; a role that may not log loses its logs, as on AWS."""

    def __init__(self, role: RoleSession, run_id: str) -> None:
        self._client = role.client("logs")
        self._run_id = run_id
        self._lines: queue.SimpleQueue[tuple[str, int, str] | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send_all, daemon=True)
        self._sender.start()

    def output(self, line: str) -> None:
        """A line of standard output."""
        self._lines.put((OUTPUT_GROUP, int(time.time() * 1000), line))

    def error(self, line: str) -> None:
        """A line of standard error."""
        self._lines.put((ERROR_GROUP, int(time.time() * 1000), line))

    def close(self) -> None:
        """Send what is left."""
        self._lines.put(None)
        self._sender.join(timeout=10)

    def _send_all(self) -> None:
        opened: set[str] = set()
        more = True
        while more:
            batch: dict[str, list[tuple[int, str]]] = {}
            more = self._collect(batch)
            for group, lines in batch.items():
                try:
                    if group not in opened:
                        opened.add(group)
                        self._open(group)
                    self._put(group, lines)
                except (ClientError, BotoCoreError) as refused:
                    logger.warning("the logs of run %s are lost: %s", self._run_id, refused)
                    return

    def _collect(self, batch: dict[str, list[tuple[int, str]]]) -> bool:
        """Gather for a moment; False when the run has ended."""
        until = time.monotonic() + SEND_EVERY
        while (left := until - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                return False
            batch.setdefault(line[0], []).append(line[1:])
        return True

    def _open(self, group: str) -> None:
        exists = self._client.exceptions.ResourceAlreadyExistsException
        with contextlib.suppress(exists):
            self._client.create_log_group(logGroupName=group)
        with contextlib.suppress(exists):
            self._client.create_log_stream(logGroupName=group, logStreamName=self._run_id)

    def _put(self, group: str, lines: list[tuple[int, str]]) -> None:
        events = [{"timestamp": at, "message": line or " "} for at, line in lines]
        for first in range(0, len(events), EVENTS_PER_CALL):
            self._client.put_log_events(
                logGroupName=group, logStreamName=self._run_id, logEvents=events[first : first + EVENTS_PER_CALL]
            )
