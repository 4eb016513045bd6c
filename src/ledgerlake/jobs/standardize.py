"""Standardize: a pinned RAW batch becomes rows, parse errors and duplicates, exactly once (design 4.2, 5)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import pyarrow as pa
from pyiceberg.table import Table
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake import failpoints
from ledgerlake.contracts import Contract
from ledgerlake.jobs import drift, drift_log
from ledgerlake.jobs.commit import Ledger, commit, once, replace_errors, require_conserved, require_ours
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.drift import FirstSeen
from ledgerlake.jobs.drift_log import News
from ledgerlake.jobs.merge import append, still_open
from ledgerlake.jobs.plan import pin_standardize
from ledgerlake.jobs.transitions import COLUMNS, Arrived, Columns, transitions
from ledgerlake.records import kinds
from ledgerlake.records.flatten import ERROR_CODE, ERROR_MESSAGE, RESCUED, Layout, Owned, claim, discover
from ledgerlake.records.paths import pointer, segments
from ledgerlake.records.privacy import MASK
from ledgerlake.state.checkpoints import Checkpoint
from ledgerlake.state.locks import Lock
from ledgerlake.tables import snapshots
from ledgerlake.tables.definitions import PARSE_ERRORS
from ledgerlake.tables.ensure import add_payload_columns, ensure_contract
from ledgerlake.tables.history import Outcome
from ledgerlake.tables.lake import staging
from ledgerlake.tables.layout import layout_of, owned_columns
from ledgerlake.tables.snapshots import Entry
from ledgerlake.transform.first_seen import count_of, first_in_columns, first_rescued
from ledgerlake.transform.flattened import BAD_PAYLOAD, KINDS, PAYLOAD, flattened
from ledgerlake.transform.identity import Identity, aggregates
from ledgerlake.transform.occurrences import few, later_copies, within_days, without

SAMPLE_ROWS = 200


@dataclass(frozen=True)
class _Batch:
    """A pinned batch at work: its rows in RAW, where it goes, and the contract that names its key and json paths."""

    context: Context
    checkpoint: Checkpoint
    contract: Contract
    contract_version: int
    target: Table
    raw: DataFrame

    @property
    def topic(self) -> str:
        return self.checkpoint.topic

    @property
    def owned(self) -> Layout:
        """The columns that paths own already."""
        return self.layout(owned_columns(self.target))

    @property
    def contract_pointers(self) -> list[str]:
        return [pointer(path) for path in self.contract.paths]

    def layout(self, columns: tuple[Owned, ...]) -> Layout:
        return layout_of(columns, self.contract)


@dataclass(frozen=True)
class _Split:
    """A batch's three parts: flattened rows and parse errors in one frame, the places of the duplicates beside it.

    `told` are the properties of its snapshot that tell of its columns and their drift.
    """

    flat: DataFrame
    layout: Layout
    rows: Identity
    errors: Identity
    duplicates: Identity
    told: Mapping[str, str]


@dataclass(frozen=True)
class _Flat:
    """The batch's rows flattened into a layout, kept on disk since they are read twice; and what is in them."""

    frame: DataFrame
    layout: Layout
    facts: Row

    @property
    def seen(self) -> dict[str, int]:
        """The kinds of each column's values by JSON Pointer (records.kinds)."""
        columns = self.layout.columns
        found = kinds.read(self.facts[KINDS], len(columns))
        return {owned.pointer: kind for owned, kind in zip(columns, found, strict=True)}


def standardize(context: Context, topic: str) -> Outcome:
    """Bring the topic's pinned batch into STANDARDIZED and parse_errors, and move its checkpoint.

    Raises LockHeld, StaleBatch, ConservationError, UnreadableRange, and whatever Spark cannot read or write.
    """
    admission, contract = context.contract(topic)
    return once(
        context,
        topic,
        "standardize",
        pin_standardize,
        lambda: _target(context, contract),
        lambda pinned, lock: _process(context, pinned, contract, admission.contract_version, lock),
    )


def _target(context: Context, contract: Contract) -> Table:
    table = context.lake.find("standardized", contract.table_name)
    if table is None:
        ensure_contract(context.lake, contract)
        table = context.lake.load("standardized", contract.table_name)
    return table


def _process(context: Context, checkpoint: Checkpoint, contract: Contract, version: int, lock: Lock) -> Entry:
    topic = checkpoint.topic
    source = context.lake.load("raw", staging(topic))
    appended = snapshots.appended(source.metadata, checkpoint.from_snapshot_id, checkpoint.to_snapshot_id)
    raw = context.range("raw", staging(topic), checkpoint.from_snapshot_id, checkpoint.to_snapshot_id)
    batch = _Batch(context, checkpoint, contract, version, _target(context, contract), raw)
    with context.expecting(snapshots.row_count(appended) + snapshots.current_rows(batch.target)):
        split = _split(batch)
        try:
            return _commit(batch, split, lock)
        finally:
            split.flat.unpersist()


def _split(batch: _Batch) -> _Split:
    """The batch in its terminal states, conserved. Raises ConservationError."""
    whole, first, last = _read_batch(batch.raw)
    late = _duplicates(batch, first, last)
    duplicates = Identity.read(late.agg(*aggregates("duplicate")).collect()[0], "duplicate")
    kept = without(batch.raw, few(late, duplicates.rows)) if duplicates.rows else batch.raw
    flat, layout, told = _flatten(batch, kept)
    rows, errors = Identity.read(flat.facts, "good"), Identity.read(flat.facts, "bad")
    parts = {"standardized": rows, "parse errors": errors, "duplicates": duplicates}
    require_conserved(batch.topic, whole, parts)
    return _Split(flat.frame, layout, rows, errors, duplicates, told)


def _read_batch(raw: DataFrame) -> tuple[Identity, date, date]:
    """Who is in the batch, and the first and the last day (UTC) of its publish_times."""
    days = [F.to_date(bound("publish_time")).alias(name) for name, bound in (("first", F.min), ("last", F.max))]
    row = raw.agg(*aggregates("raw"), *days).collect()[0]
    today = datetime.now(UTC).date()
    return Identity.read(row, "raw"), row["first"] or today, row["last"] or today


def _duplicates(batch: _Batch, first: date, last: date) -> DataFrame:
    """The places of the batch's rows whose message_id came before, in this batch or within the days looked up.

    Parse errors of a batch with the same beginning are leftovers of a try that was never committed: no occurrence.
    """
    nearby = within_days(first, last, batch.contract.dedup_window_days)
    others = F.col("batch_id") != batch.checkpoint.batch_id
    rows = batch.context.table("standardized", batch.topic).where(nearby & others).select("message_id")
    errors = batch.context.table("standardized", PARSE_ERRORS).where(
        (F.col("topic_name") == batch.topic) & nearby & ~same_start(batch.topic, batch.checkpoint.from_snapshot_id)
    )
    return later_copies(batch.raw, rows.unionByName(errors.select("message_id")))


def same_start(topic: str, after: int) -> Column:
    """Whether a parse error's batch begins after this snapshot of RAW: where the next one does, none is committed."""
    start = f"{topic}-{after}"
    return (F.col("batch_id") >= f"{start}-") & (F.col("batch_id") < f"{start}.")


def _flatten(batch: _Batch, kept: DataFrame) -> tuple[_Flat, Layout, dict[str, str]]:
    """The rows flattened, the columns that they and the table have, and what the batch's snapshot tells of these.

    A first pass uses the columns the table has and those it probably gets. Where that guess was not right, a second
    one flattens again: what a row becomes never depends on the guess.
    """
    owned, known = batch.owned, Columns.read(batch.target)
    guess = batch.layout((*owned.columns, *_likely(batch, kept)))
    flat = _flattened(batch, kept, guess, guess.columns[len(owned.columns) :])
    found = _without_column(flat, guess.columns[len(owned.columns) :])
    limit, policy = batch.context.settings.max_payload_columns, batch.contract.drift
    claimed = drift.claims(owned, batch.contract_pointers, found, kept, limit, policy)
    turns, seen = transitions(known, Arrived(kept, flat.frame, guess, flat.seen, found))
    told = {snapshots.DRIFT: str(_log(batch, [*claimed.news, *turns]))}
    if claimed.added:
        add_payload_columns(batch.context.lake, batch.topic, claimed.added)
    final = batch.layout((*owned.columns, *claimed.added))
    held = {first.pointer for first in found}
    guessed = {column for column in guess.columns if column.pointer in held} | set(owned.columns)
    if guessed != set(final.columns):
        flat.frame.unpersist()
        flat = _flattened(batch, kept, final, ())
        seen = flat.seen | seen
    return flat, final, told | {COLUMNS: known.written(final.columns, seen)}


def _log(batch: _Batch, news: list[News]) -> int:
    """Log the batch's drift, before its columns are added: a try that dies in between finds it logged."""
    if not news:
        return 0
    told = [_told(batch.contract, one) for one in news]
    logged = drift_log.log(batch.context.lake, batch.topic, batch.checkpoint.batch_id, told)
    failpoints.hit("standardize.after_drift_log", batch.topic)
    return logged


def _told(contract: Contract, news: News) -> News:
    """What drift_log may tell of a path: personal data gives no sample."""
    private = news.sample is not None and contract.is_private(segments(news.pointer))
    return replace(news, sample=MASK) if private else news


def _flattened(batch: _Batch, kept: DataFrame, layout: Layout, guessed: tuple[Owned, ...]) -> _Flat:
    bad = F.col(ERROR_CODE).isNotNull()
    frame = flattened(kept, layout, batch.contract.key_sources).persist(StorageLevel.DISK_ONLY)
    facts = [
        *aggregates("good", ~bad),
        *aggregates("bad", bad),
        F.count(RESCUED).alias("$rescued"),
        F.collect_set(KINDS).alias(KINDS),
        *first_in_columns(guessed),
    ]
    return _Flat(frame, layout, frame.agg(*facts).collect()[0])


def _without_column(flat: _Flat, guessed: tuple[Owned, ...]) -> list[FirstSeen]:
    """The paths with values that own no column yet."""
    facts = flat.facts
    found = [
        FirstSeen.read(column.pointer, facts[column.name], facts[count_of(column.name)])
        for column in guessed
        if facts[column.name] is not None
    ]
    if facts["$rescued"]:
        rescued = first_rescued(flat.frame, drift.MOST_PATHS).collect()
        found += [FirstSeen.read(path["pointer"], path["first"], path["count"]) for path in rescued]
    return found


def _likely(batch: _Batch, kept: DataFrame) -> tuple[Owned, ...]:
    """The columns that the batch probably adds: the contract's, and those of a few rows when the table has none yet."""
    paths = batch.contract_pointers
    if not batch.owned.columns:
        payloads = [row[0] for row in kept.select(PAYLOAD).limit(SAMPLE_ROWS).collect()]
        paths += discover(pa.array(payloads, pa.string()), batch.owned.json_pointers)
    limit, policy = batch.context.settings.max_payload_columns, batch.contract.drift
    added, _ = claim(batch.owned, batch.contract_pointers, paths, limit, policy)
    return added


def _commit(batch: _Batch, split: _Split, lock: Lock) -> Entry:
    """Errors first, then the one commit to the main table. Raises StaleBatch, LockLost and AuditFailed."""
    if split.errors.rows or batch.checkpoint.attempts > 1:
        since = batch.context.lake.load("standardized", PARSE_ERRORS).metadata.current_snapshot_id
        require_ours(_target(batch.context, batch.contract), lock, batch.contract_version)
        failpoints.hit("standardize.before_errors_write", batch.topic)
        _write_errors(batch, split, since)
        failpoints.hit("standardize.after_errors_write", batch.topic)
    ledger = Ledger(
        batch.checkpoint,
        lock.token,
        batch.contract_version,
        {
            "in": split.rows.rows + split.errors.rows + split.duplicates.rows,
            "standardized": split.rows.rows,
            "duplicate": split.duplicates.rows,
            "parse-error": split.errors.rows,
        },
    )
    return commit(
        batch.context,
        ledger,
        lock,
        lambda: _target(batch.context, batch.contract),
        lambda properties: _write_rows(batch, split, {**properties, **split.told}),
        added=split.rows.rows,
    )


def _write_errors(batch: _Batch, split: _Split, since: int | None) -> None:
    """Put the batch's parse errors in the place of any that an earlier try left."""
    name = batch.context.lake.spark_name("standardized", PARSE_ERRORS)
    # No rows at all are not worth a look at the whole batch.
    spark, checkpoint = batch.context.spark, batch.checkpoint
    errors = parse_error_rows(split.flat, checkpoint.batch_id) if split.errors.rows else spark.table(name).limit(0)
    mine = (F.col("topic_name") == batch.topic) & same_start(batch.topic, checkpoint.from_snapshot_id)
    replace_errors(errors, name, mine, since)


def parse_error_rows(flat: DataFrame, batch_id: str) -> DataFrame:
    """The flattened rows whose payload cannot be parsed, as rows of parse_errors that this batch brings."""
    return flat.where(F.col(ERROR_CODE).isNotNull()).select(
        *("message_id", "topic_name", "publish_time", "ingestion_ts"),
        F.col(BAD_PAYLOAD).alias("json_payload"),
        F.col(ERROR_CODE).alias("error_code"),
        F.col(ERROR_MESSAGE).alias("error_message"),
        F.lit(batch_id).alias("batch_id"),
        F.lit(datetime.now(UTC).isoformat()).cast("timestamp").alias("failed_at"),
        *still_open(),
    )


def _write_rows(batch: _Batch, split: _Split, properties: Mapping[str, str]) -> None:
    envelope = ["message_id", "topic_name", "idempotency_key", "publish_time", "ingestion_ts"]
    good = split.flat.where(F.col(ERROR_CODE).isNull()).select(
        *envelope,
        F.lit(batch.checkpoint.batch_id).alias("batch_id"),
        "attributes",
        *(F.col(column.name) for column in split.layout.columns),
        RESCUED,
    )
    append(good, batch.context.lake.spark_name("standardized", batch.topic), properties)
