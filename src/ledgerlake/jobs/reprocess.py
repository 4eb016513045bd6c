"""Reprocess: a topic's tables rebuilt from RAW on branches, compared with main, then published or discarded (ADR 0010).

Building writes to branches only. Publishing is short: under the topic's lock, STANDARDIZED first, the table's failures
are put in place and its main is moved to its branch by a compare-and-set. Whatever dies when, the same again ends it.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from ledgerlake import failpoints
from ledgerlake.errors import TerminalError
from ledgerlake.jobs import failures
from ledgerlake.jobs.commit import require_in_force, require_ours
from ledgerlake.jobs.comparison import LayerReport, RebuiltLayer, ReprocessReport, ReprocessRequest, version_of
from ledgerlake.jobs.context import Context
from ledgerlake.jobs.entry import Tell, serve
from ledgerlake.jobs.failures import OF_LAYER
from ledgerlake.jobs.rebuild import Rebuild, batch_id
from ledgerlake.jobs.rebuild_curated import rebuild_curated
from ledgerlake.jobs.rebuild_standardized import rebuild_standardized
from ledgerlake.state.checkpoints import Checkpoint
from ledgerlake.state.locks import Lock
from ledgerlake.state.requests import Document
from ledgerlake.tables import history, reshape, snapshots
from ledgerlake.tables.branches import Branch
from ledgerlake.tables.definitions import Layer
from ledgerlake.tables.history import Outcome, Result
from ledgerlake.tables.lake import CATALOG
from ledgerlake.tables.publish import MainMoved
from ledgerlake.tables.reshape import Shape
from ledgerlake.tables.snapshots import Entry
from ledgerlake.tables.sql import identifier, literal

LAYERS: tuple[RebuiltLayer, ...] = ("standardized", "curated")
LEDGER = "ledgerlake."


class UnknownReprocess(TerminalError):
    """There is no reprocess of that id: never built, or discarded."""


class NotBuilt(TerminalError):
    """A reprocess was not built to its end."""


class OfContract(TerminalError):
    """A reprocess belongs to a contract that is being published, and is published with it only."""


class NotCurated(TerminalError):
    """CURATED was to be rebuilt for a topic that has none."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the run's request says."""
    serve(work, arguments)


def work(context: Context, document: Document, tell: Tell = lambda _: None) -> Document:
    """Build, apply, publish or discard a reprocess; returns its ReprocessReport."""
    request = ReprocessRequest.model_validate(document)
    action = {"build": build, "apply": apply, "publish": publish, "discard": discard}[request.action]
    return action(context, request, tell).model_dump(mode="json")


def build(context: Context, request: ReprocessRequest, tell: Tell = lambda _: None) -> ReprocessReport:
    """Rebuild the layers asked for on branches, and compare them with main, which stays as it is.

    Raises NotAdmitted, NotCurated, NothingToRebuild, ContractOutdated, ConservationError, RuleFailed.
    """
    admission, contract = context.contract(request.topic)
    version, sha256 = admission.contract_version, admission.contract_sha256
    at_work = Rebuild(context, request, contract, version, sha256, datetime.now(UTC))
    wanted = _layers(context, request, curated=admission.curated)
    for layer in wanted:
        if (table := context.lake.find(layer, request.topic)) is not None:
            require_in_force(table, version)
    clean(context, request)  # a try that died may have staged what this one does not
    found = rebuild(at_work, wanted, tell)
    return ReprocessReport(
        topic=request.topic,
        id=request.id,
        action=request.action,
        contract_version=admission.contract_version,
        since=request.since,
        until=request.until,
        layers=tuple(found),
        outdated=any(not branch.fits for layer in LAYERS if (branch := _branch(context, request, layer))),
    )


def rebuild(work: Rebuild, wanted: Collection[RebuiltLayer], tell: Tell) -> list[LayerReport]:
    """Rebuild these layers on branches. Raises NothingToRebuild, ConservationError, RuleFailed, AuditFailed."""
    found: list[LayerReport] = []
    if "standardized" in wanted:
        tell(f"rebuilding STANDARDIZED {work.topic} from RAW")
        found.append(rebuild_standardized(work))
        failpoints.hit("reprocess.after_standardized", work.topic)
    if "curated" in wanted:
        tell(f"rebuilding CURATED {work.topic} by contract version {work.contract_version}")
        found.append(rebuild_curated(work, on_branch="standardized" in wanted))
    return found


def apply(context: Context, request: ReprocessRequest, tell: Tell = lambda _: None) -> ReprocessReport:
    """Build and publish under one lock, for topics that never stand still between the two. Raises as both do."""
    started = datetime.now(UTC)
    with lock_of(context, request.topic) as lock:
        built = build(context, request, tell)
        done = publish_tables(context, request, lock, tell)
    record(context, request, started)
    return built.model_copy(update={"published": done})


def publish(context: Context, request: ReprocessRequest, tell: Tell = lambda _: None) -> ReprocessReport:
    """Make a reprocess that was built main; again, it finishes what was begun.

    Raises LockHeld, UnknownReprocess, OfContract, NotBuilt, and MainMoved when the topic went on since: it has to be
    built again.
    """
    if version_of(request.id) is not None:
        raise OfContract(f"reprocess {request.id} is part of publishing a contract: put the contract to pending again")
    started = datetime.now(UTC)
    with lock_of(context, request.topic) as lock:
        done = publish_tables(context, request, lock, tell)
        failpoints.hit("reprocess.before_unlock", request.topic)
    record(context, request, started)
    return ReprocessReport(topic=request.topic, id=request.id, action=request.action, published=done)


def discard(context: Context, request: ReprocessRequest, tell: Tell = lambda _: None) -> ReprocessReport:
    """Take a reprocess away: its branches with their files, and what it had marked. What is published stays.

    Raises LockHeld, UnknownReprocess.
    """
    with lock_of(context, request.topic):
        done = tuple(layer for layer in LAYERS if _entry(context, request, layer))
        if not done and not _branches(context, request):
            raise _unknown(request)
        tell("taking the branches away")
        take_away(context, request)
    return ReprocessReport(topic=request.topic, id=request.id, action=request.action, published=done)


def take_away(context: Context, request: ReprocessRequest) -> None:
    """Drop a reprocess's branches and columns, and take back its failures where their table did not follow; under the
    lock.
    """
    for layer in LAYERS:
        failures.withdraw(context, request, OF_LAYER[layer])
    clean(context, request)
    if context.lake.find("curated", request.topic) is not None:
        reshape.clear(context.lake, "curated", request.topic)


def _layers(context: Context, request: ReprocessRequest, *, curated: bool) -> set[RebuiltLayer]:
    """The layers to rebuild: CURATED is never left behind, but one that holds nothing yet is the next cycle's."""
    there = curated and is_curated(context, request.topic)
    if request.curated_only and not there:
        raise NotCurated(f"{request.topic} has not been curated yet: there is nothing to compare with")
    wanted: set[RebuiltLayer] = set() if request.curated_only else {"standardized"}
    return wanted | {"curated"} if there else wanted


def is_curated(context: Context, topic: str) -> bool:
    """Whether CURATED holds anything yet."""
    table = context.lake.find("curated", topic)
    return table is not None and table.current_snapshot() is not None


def lock_of(context: Context, topic: str) -> Lock:
    """The topic's lock, for whoever writes to both tables. Raises LockHeld."""
    tables = [context.lake.find(layer, topic) for layer in LAYERS]
    last = [entry for table in tables if table is not None and (entry := snapshots.last_entry(table))]
    return context.state.locks.acquire(topic, context.cycle_id, max((entry.fencing_token for entry in last), default=0))


def publish_tables(
    context: Context, request: ReprocessRequest, lock: Lock, tell: Tell, shape: Shape | None = None
) -> tuple[RebuiltLayer, ...]:
    """Make the branches main, those of STANDARDIZED first; CURATED gets this shape. Returns the tables that are.

    Raises UnknownReprocess, NotBuilt, MainMoved, StaleBatch, LockLost, ContractOutdated.
    """
    waiting = [layer for layer in LAYERS if _branch(context, request, layer)]
    published = [layer for layer in LAYERS if _entry(context, request, layer)]
    if not waiting and not published:
        raise _unknown(request)
    if waiting == ["standardized"] and is_curated(context, request.topic):
        raise NotBuilt(f"reprocess {request.id} died before CURATED was rebuilt: discard it and build it again")
    for layer in waiting:
        _require_fits(context, request, layer)
    for layer in waiting:
        tell(f"publishing {layer.upper()} {request.topic}")
        _publish_layer(context, request, layer, lock, shape if layer == "curated" else None)
    failpoints.hit("reprocess.before_checkpoint", request.topic)
    if entry := _entry(context, request, "curated"):
        _follow(context, request, entry)
    failpoints.hit("reprocess.after_checkpoint", request.topic)
    clean(context, request)
    return tuple(layer for layer in LAYERS if layer in {*waiting, *published})


def _publish_layer(
    context: Context, request: ReprocessRequest, layer: RebuiltLayer, lock: Lock, shape: Shape | None
) -> None:
    """Failures first, then the commit that names the batch and moves main to it."""
    topic = request.topic
    failpoints.hit("reprocess.before_errors_write", topic)
    failures.publish(context, request, OF_LAYER[layer])
    failpoints.hit("reprocess.after_errors_write", topic)
    if layer == "curated":
        # What the planner knows of CURATED comes from the table again: its source moves with main.
        context.state.checkpoints.forget(topic, "curate")
    failpoints.hit("reprocess.before_commit", topic)
    branch = _branch(context, request, layer)
    if branch is None:
        raise _unknown(request)
    properties = _properties(context, request, layer, branch, lock)
    require_ours(branch.table, lock, int(properties[snapshots.CONTRACT_VERSION]))
    branch.publish(properties, shape)
    failpoints.hit("reprocess.after_commit", topic)


def _properties(
    context: Context, request: ReprocessRequest, layer: RebuiltLayer, branch: Branch, lock: Lock
) -> dict[str, str]:
    """The ledger's properties of the commit that publishes a table, as its branch keeps them."""
    kept = {name: value for name, value in branch.properties.items() if name.startswith(LEDGER)}
    kept |= {snapshots.BATCH_ID: batch_id(request), snapshots.FENCING_TOKEN: str(lock.token)}
    source = _entry(context, request, "standardized")
    if layer == "curated" and source is not None:
        kept[snapshots.SOURCE_SNAPSHOT_ID] = str(source.snapshot_id)
    return kept


def _require_fits(context: Context, request: ReprocessRequest, layer: RebuiltLayer) -> None:
    branch = _branch(context, request, layer)
    if branch is not None and not branch.fits:
        raise MainMoved(
            f"{layer} {request.topic} went on since reprocess {request.id} was built: discard it and build it again, "
            "or build and publish in one go with --apply"
        )


def _follow(context: Context, request: ReprocessRequest, entry: Entry) -> None:
    """Put curate's checkpoint where CURATED's new main stands, unless it went further since."""
    checkpoints = context.state.checkpoints
    last = snapshots.last_entry(context.lake.load("curated", request.topic))
    if last is None or last.batch_id != entry.batch_id:
        return
    done = Checkpoint(
        topic=request.topic,
        stage="curate",
        status="done",
        batch_id=entry.batch_id,
        from_snapshot_id=entry.source_snapshot_id,
        to_snapshot_id=entry.source_snapshot_id,
        metadata_location="",
        contract_version=int(entry.summary.get(snapshots.CONTRACT_VERSION, 0)),
        cycle_id=context.cycle_id,
    )
    checkpoints.put(done, checkpoints.get(request.topic, "curate"))


def record(context: Context, request: ReprocessRequest, started: datetime) -> None:
    """Write the history's row: rows_in are the rows judged anew, rows_standardized those that are new there."""
    standardized, curated = (_entry(context, request, layer) for layer in LAYERS)
    outcome = Outcome(
        cycle_id=context.cycle_id,
        topic_name=request.topic,
        stage="reprocess",
        outcome=Result.REPROCESSED,
        batch_id=batch_id(request),
        rows_in=curated.rows("in") if curated else None,
        rows_standardized=standardized.rows("standardized") if standardized else None,
        rows_curated=curated.rows("curated") if curated else None,
        rows_superseded=curated.rows("superseded") if curated else None,
        rows_error=curated.rows("error") if curated else None,
        rows_warned=curated.rows("warned") if curated else None,
        started_at=started,
        ended_at=datetime.now(UTC),
    )
    history.record(context.lake, [outcome])


def clean(context: Context, request: ReprocessRequest) -> None:
    """Drop the branches that are left, and the files that only they needed."""
    for layer, branch in _branches(context, request):
        table = context.lake.spark_name(layer, branch.table.name()[-1])
        own = branch.snapshots()
        context.spark.sql(f"ALTER TABLE {table} DROP BRANCH IF EXISTS {identifier(branch.name)}")
        if own:
            name = ".".join(branch.table.name())
            context.spark.sql(
                f"CALL {identifier(CATALOG)}.system.expire_snapshots(table => {literal(name)}, "
                # Without a time the procedure also expires what is older than five days.
                "older_than => TIMESTAMP '1970-01-01 00:00:00', "
                f"snapshot_ids => array({', '.join(map(str, own))}))"
            )


def _branches(context: Context, request: ReprocessRequest) -> list[tuple[Layer, Branch]]:
    """Every branch of a reprocess, of the topic's tables and of the error tables."""
    names: list[tuple[Layer, str]] = [
        name for layer in LAYERS for name in ((layer, OF_LAYER[layer].name), (layer, request.topic))
    ]
    tables = [(layer, context.lake.find(layer, name)) for layer, name in names]
    return [
        (layer, found) for layer, table in tables if table is not None and (found := Branch.find(table, request.id))
    ]


def _branch(context: Context, request: ReprocessRequest, layer: RebuiltLayer) -> Branch | None:
    table = context.lake.find(layer, request.topic)
    return Branch.find(table, request.id) if table is not None else None


def _entry(context: Context, request: ReprocessRequest, layer: RebuiltLayer) -> Entry | None:
    """The commit that published a layer, or None."""
    table = context.lake.find(layer, request.topic)
    return snapshots.has_batch(table, batch_id(request)) if table is not None else None


def _unknown(request: ReprocessRequest) -> UnknownReprocess:
    return UnknownReprocess(
        f"{request.topic} has no reprocess {request.id}; see ledgerlake reprocess {request.topic} --list"
    )
