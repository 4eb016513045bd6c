"""Firehose to Iceberg tables: buffered, transformed, routed and appended as AWS does it.

The emulator's own delivery commits record by record and logs what it cannot deliver; ours makes one append per table
and flush, and what does not fit goes to the error prefix in AWS's format.
"""

import base64
import gzip
import json
import logging
import threading
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError
from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.services import firehose
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchIcebergTableError, NoSuchTableError
from pyiceberg.table import Table

from ledgerlake.errors import TransientError
from ledgerlake.local.credentials import RoleSession
from ledgerlake.local.firehose_rows import Refused, Rows
from ledgerlake.local.firehose_transform import Failure, Record, Routed, transformed
from ledgerlake.settings import LocalSettings

INTERVAL_SECONDS = 2.0
BATCH_BYTES = 4 * 1024 * 1024
# As much as AWS buffers for an Iceberg destination at most; beyond it a put is told to come again.
BUFFER_BYTES = 128 * 1024 * 1024
COMMIT_ATTEMPTS = 8
TABLES_AT_A_TIME = 4

logger = logging.getLogger("ledgerlake.local.firehose")

_dest_description = firehose._dest_description
_put_record_batch = firehose._HANDLERS["PutRecordBatch"]


class BufferFull(TransientError):
    """The stream cannot take more now; PutRecordBatch answers ServiceUnavailableException for the record."""


class Deliveries:
    """The buffers of all streams of this emulator."""

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._buffers: dict[tuple[str, str, str], Buffer] = {}

    def install(self) -> None:
        """Take over the delivery, the description of the destination and the size check."""
        firehose._deliver_to_iceberg = self.accept
        firehose._dest_description = description
        firehose._HANDLERS["PutRecordBatch"] = put_record_batch

    def accept(self, stream: dict[str, Any], destination: dict[str, Any], records: list[tuple[str, bytes]]) -> None:
        """Take records into the stream's buffer; called under the emulator's lock, so nothing else happens here."""
        destination["records"].clear()  # the emulator's own copy, which it would keep for ever
        key = (get_account_id(), get_region(), stream["name"])
        with self._lock:
            buffer = self._buffers.get(key)
            if buffer is None or buffer.stream is not stream:
                role = RoleSession.of(destination["config"]["RoleARN"], stream["name"], self._settings)
                buffer = self._buffers[key] = Buffer(stream, destination, role)
        buffer.add(records)

    def flush(self) -> None:
        """Deliver all that is buffered; returns when it is in the tables or under the error prefix."""
        with self._lock:
            buffers = list(self._buffers.values())
        for buffer in buffers:
            buffer.close()


class Buffer:
    """One stream's records until their delivery, which happens in a thread of its own."""

    def __init__(self, stream: dict[str, Any], destination: dict[str, Any], role: RoleSession) -> None:
        self.stream = stream
        self._destination = destination
        self._role = role
        self._catalog: Catalog | None = None
        self._changed = threading.Condition()
        self._records: list[Record] = []
        self._bytes = 0
        self._closing = False
        self._thread = threading.Thread(target=self._deliver_for_ever, daemon=True, name=f"firehose-{stream['name']}")
        self._thread.start()

    def add(self, records: Iterable[tuple[str, bytes]]) -> None:
        """Buffer records. Raises BufferFull when deliveries do not keep up."""
        now = int(time.time() * 1000)
        with self._changed:
            if self._bytes > BUFFER_BYTES:
                raise BufferFull("Slow down.")
            for record_id, data in records:
                self._records.append(Record(record_id, now, data))
                self._bytes += len(data)
            self._changed.notify()

    def close(self) -> None:
        """Deliver what is left and end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout=60)

    def _deliver_for_ever(self) -> None:
        while records := self._next():
            try:
                failures = self._deliver(records)
            except Exception as broken:
                logger.exception("stream %s could not deliver %d records", self.stream["name"], len(records))
                failures = [
                    _not_delivered(Routed(each, each.data), "Firehose.InternalError", str(broken)) for each in records
                ]
            self._set_aside(failures)

    def _next(self) -> list[Record]:
        """Wait for the first record, then for the interval or the size; empty when all is delivered at the end."""
        hints = self._config.get("BufferingHints") or {}
        interval = min(INTERVAL_SECONDS, hints.get("IntervalInSeconds", 300))
        size = hints.get("SizeInMBs", 5) * 1024 * 1024
        with self._changed:
            self._changed.wait_for(lambda: self._records or self._closing)
            self._changed.wait_for(lambda: self._bytes >= size or self._closing, timeout=interval)
            records, self._records, self._bytes = self._records, [], 0
        return records

    @property
    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = self._destination["config"]
        return config

    def _deliver(self, records: list[Record]) -> list[Failure]:
        started = time.monotonic()
        routed, failures = transformed(self.stream["arn"], self._config, records, self._role)
        passed = time.monotonic()
        by_table: dict[tuple[str, str], list[Routed]] = {}
        for each in routed:
            try:
                by_table.setdefault(self._target(each), []).append(each)
            except Refused as refused:
                failures.append(_not_delivered(each, refused.code, refused.message))
        with ThreadPoolExecutor(TABLES_AT_A_TIME) as pool:
            for failed in pool.map(lambda item: self._append(*item), by_table.items()):
                failures += failed
        logger.info(
            "%s: %d records to %d tables, %d refused; transform %.2f s, append %.2f s",
            *(self.stream["name"], len(records), len(by_table), len(failures)),
            *(passed - started, time.monotonic() - passed),
        )
        return failures

    def _target(self, routed: Routed) -> tuple[str, str]:
        listed = self._config.get("DestinationTableConfigurationList") or []
        default = listed[0] if len(listed) == 1 else {}
        database = routed.route.get("destinationDatabaseName") or default.get("DestinationDatabaseName")
        table = routed.route.get("destinationTableName") or default.get("DestinationTableName")
        if not database or not table:
            raise Refused("Iceberg.GlueTableNotFound", "The record names no destination database and table")
        operation = str(routed.route.get("operation") or "insert").lower()
        if operation != "insert":
            raise Refused("Iceberg.UniqueKeysNotFound", f"{operation} needs UniqueKeys, which are not supported here")
        return database, table

    def _append(self, target: tuple[str, str], records: list[Routed]) -> list[Failure]:
        failures: list[Failure] = []
        good: list[Routed] = []
        rows: list[dict[str, Any]] = []
        try:
            table = self._table(target)
            reader = Rows(table.schema())
            for each in records:
                try:
                    rows.append(reader.read(each.data))
                    good.append(each)
                except Refused as refused:
                    failures.append(_not_delivered(each, refused.code, refused.message))
            if rows:
                _commit(table, rows)
        except Refused as refused:
            return [*failures, *(_not_delivered(each, refused.code, refused.message) for each in good or records)]
        return failures

    def _table(self, target: tuple[str, str]) -> Table:
        name = ".".join(target)
        try:
            if self._catalog is None:
                self._catalog = load_catalog("firehose", **self._role.catalog_properties())
            table = self._catalog.load_table(target)
        except (NoSuchTableError, NoSuchIcebergTableError) as missing:
            raise Refused("Iceberg.GlueTableNotFound", f"{name}: {missing}") from missing
        except (ClientError, BotoCoreError, OSError) as refused:
            raise Refused("Iceberg.AccessDenied", f"{name}: {refused}") from refused
        if table.metadata.format_version != 2:
            raise Refused(
                "Iceberg.UnsupportedFormatVersion", f"{name} has format version {table.metadata.format_version}, not 2"
            )
        return table

    def _set_aside(self, failures: list[Failure]) -> None:
        """Write error records. While that fails the stream waits, as on AWS: nothing is dropped."""
        by_type: dict[str, list[Failure]] = {}
        for failure in failures:
            by_type.setdefault(failure.output_type, []).append(failure)
        for output_type, failed in by_type.items():
            while True:
                try:
                    self._write_errors(output_type, failed)
                    break
                except (ClientError, BotoCoreError) as refused:
                    logger.error(
                        "stream %s cannot write %d error records: %s", self.stream["name"], len(failed), refused
                    )
                    if self._closing:
                        return
                    time.sleep(INTERVAL_SECONDS)

    def _write_errors(self, output_type: str, failures: list[Failure]) -> None:
        s3 = self._config.get("S3Configuration") or {}
        body = "".join(json.dumps(_error_record(failure)) + "\n" for failure in failures).encode()
        now = time.gmtime()
        key = (
            f"{_error_prefix(s3.get('ErrorOutputPrefix') or '', output_type, now)}{self.stream['name']}-"
            f"{self.stream['version']}-{time.strftime('%Y-%m-%d-%H-%M-%S', now)}-{uuid.uuid4()}"
        )
        if s3.get("CompressionFormat") == "GZIP":
            key, body = f"{key}.gz", gzip.compress(body)
        self._role.client("s3").put_object(Bucket=s3["BucketARN"].rpartition(":")[2], Key=key, Body=body)


def _commit(table: Table, rows: list[dict[str, Any]]) -> None:
    """One append, tried again when another writer was first."""
    data = pa.Table.from_pylist(rows, schema=table.schema().as_arrow())
    for attempt in range(1, COMMIT_ATTEMPTS + 1):
        try:
            return table.append(data)
        except CommitFailedException as lost:
            failure: Exception = lost
            time.sleep(0.05 * 2**attempt)
            table.refresh()
        except (ClientError, BotoCoreError, OSError) as refused:
            failure = refused
            break
    raise Refused("Iceberg.DeliveryFailed", f"{'.'.join(table.name())}: {failure}") from failure


def _not_delivered(routed: Routed, code: str, message: str) -> Failure:
    return Failure(routed.record, "iceberg-failed", code, message, routed.data)


def _error_record(failure: Failure) -> dict[str, Any]:
    """AWS's error document: the record as it was refused, in base64 (for a failed transform: as it was put)."""
    document = {
        "attemptsMade": failure.attempts,
        "arrivalTimestamp": failure.record.arrived,
        "errorCode": failure.code,
        "errorMessage": failure.message,
        "attemptEndingTimestamp": int(time.time() * 1000),
        "rawData": base64.b64encode(failure.data).decode(),
    }
    return {**document, "lambdaArn": failure.lambda_arn} if failure.lambda_arn else document


def _error_prefix(template: str, output_type: str, now: time.struct_time) -> str:
    """The evaluated error prefix; one without expressions gets the error's type and the hour appended."""
    if "!{" not in template:
        return f"{template}{output_type}/{time.strftime('%Y/%m/%d/%H/', now)}"
    evaluated: str = firehose._evaluate_prefix(template, now, error_type=output_type)
    return evaluated


def put_record_batch(request: dict[str, Any]) -> Any:
    """PutRecordBatch with the limit of 4 MiB a call, which the emulator does not check."""
    size = sum(len(record.get("Data", "")) * 3 // 4 for record in request.get("Records") or [])
    if size > BATCH_BYTES:
        return error_response_json("InvalidArgumentException", "Records size exceeds 4 MB limit", 400)
    return _put_record_batch(request)


def description(destination: dict[str, Any]) -> dict[str, Any]:
    """The destination as DescribeDeliveryStream shows it: with an S3DestinationDescription, and AWS's defaults."""
    if destination["type"] != "Iceberg":
        shown: dict[str, Any] = _dest_description(destination)
        return shown
    config = dict(destination["config"])
    s3 = config.pop("S3Configuration", {})
    iceberg = {
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "RetryOptions": {"DurationInSeconds": 300},
        "S3BackupMode": "FailedDataOnly",
        "ProcessingConfiguration": {"Enabled": False},
        "AppendOnly": False,
        **config,
        "S3DestinationDescription": {
            "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
            "CompressionFormat": "UNCOMPRESSED",
            "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
            **s3,
        },
    }
    return {"DestinationId": destination["id"], "IcebergDestinationDescription": iceberg}
