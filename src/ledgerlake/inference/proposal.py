"""A contract from sample records: every proposal with its reason, for a person to check and finish."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from ledgerlake.contracts.model import CURATED_COLUMNS
from ledgerlake.contracts.partitions import Partition
from ledgerlake.contracts.sources import Path, written_source
from ledgerlake.inference import events, names
from ledgerlake.inference.keys import ENOUGH, Key, key
from ledgerlake.inference.pii import suspicion
from ledgerlake.inference.profile import Field, profile
from ledgerlake.inference.types import Typed, typed
from ledgerlake.inference.values import described
from ledgerlake.records.paths import ICEBERG_METADATA_COLUMNS, column_name

COMMENT: Final = "$comment"
SUSPECT: Final = "pii_suspect"
"""The tag of a column that may hold personal data."""

Document = dict[str, Any]

_SHOWN: Final = 10

_RESERVED: Final = frozenset((*CURATED_COLUMNS, *ICEBERG_METADATA_COLUMNS))


@dataclass(frozen=True)
class Proposal:
    """A contract without its head as a document, and what a person has to decide before it is published."""

    contract: Document
    to_decide: tuple[str, ...]


@dataclass(frozen=True)
class _Draft:
    """One field on its way to a column: its name, its type, and what personal data it may hold."""

    field: Field
    name: str
    typed: Typed
    suspicion: str | None

    @property
    def source(self) -> str:
        return written_source(self.field.path)


def propose(payloads: Sequence[str], *, untyped: bool = False) -> Proposal:
    """The contract that the payloads (JSON objects) propose, but for its name, description and owner.

    `untyped`: their values are only texts, as in a CSV. The contract takes every one of the payloads without an error.
    """
    found = profile(payloads)
    fields, met = _one_a_column(found.fields)
    types = {field.path: typed(field, untyped=untyped) for field in fields}
    called = names.column_names([field.path for field in fields], _RESERVED)
    drafts = [
        _Draft(field, name, types[field.path], suspicion(field)) for field, name in zip(fields, called, strict=True)
    ]
    personal = {draft.field.path for draft in drafts if draft.suspicion}
    chosen, event = key(fields, types, personal), events.event_time(fields, types)
    contract = {
        "envelope_columns": list(_key_column(chosen)),
        "payload_columns": [_column(draft, event) for draft in drafts if not _stands_as_key(draft, chosen)],
        "partition_by": [str(_partition(draft, set(called))) for draft in drafts if draft.field is event],
    }
    decide = [*_of_key(chosen, drafts), *_of_times(fields, types, event), *_of_columns(drafts)]
    decide += [f"`{written_source(path)}` meets another field's column and is left out" for path in met]
    if found.nulls:
        decide.append(f"{_listed(found.nulls)}: null in every record, and so left out")
    if found.left_out:
        decide.append(f"{found.left_out:,} more fields are left out: they stand in STANDARDIZED or in `rescued`")
    return Proposal(contract, tuple(decide))


def _one_a_column(fields: Sequence[Field]) -> tuple[list[Field], list[Path]]:
    """The fields that have a column of STANDARDIZED to themselves, and the paths that would meet in one (4.1)."""
    owners: dict[str, Field] = {}
    met = [field.path for field in fields if owners.setdefault(column_name(field.path), field) is not field]
    return list(owners.values()), met


def _stands_as_key(draft: _Draft, chosen: Key) -> bool:
    """Whether idempotency_key holds the field's text already."""
    return chosen.paths == (draft.field.path,) and draft.typed.type.kind == "string"


def _partition(draft: _Draft, taken: Set[str]) -> Partition:
    """The partition field of the event's time, under a name that no column has."""
    grains = events.grains(draft.field, draft.typed)
    fields = [Partition(grain, draft.name) for grain in grains]
    return next((field for field in fields if field.field_name not in taken), Partition("identity", draft.name))


def _key_column(chosen: Key) -> Iterator[Document]:
    if chosen.paths:
        sources = [written_source(path) for path in chosen.paths]
        source = sources[0] if len(sources) == 1 else sources
        yield {"name": "idempotency_key", "type": "string", "source": source, COMMENT: _sentence(chosen.why)}


def _column(draft: _Draft, event: Field | None) -> Document:
    field = draft.field
    cde = field is event or (names.is_record_id(field.path) and field.everywhere and field.records >= ENOUGH)
    return {
        "name": draft.name,
        "type": str(draft.typed.type),
        "source": draft.source,
        **draft.typed.options,
        **({"cde": True} if cde else {}),
        **({"tags": [SUSPECT]} if draft.suspicion else {}),
        COMMENT: " ".join(map(_sentence, _reasons(draft, event, cde=cde))),
    }


def _reasons(draft: _Draft, event: Field | None, *, cde: bool) -> Iterator[str]:
    field = draft.field
    if field.everywhere:
        candidate = ": a candidate for `cde`" if not cde and field.records >= ENOUGH else ""
        yield f"in all {field.records:,} records{candidate}" if field.records > 1 else "in the one record"
    else:
        yield f"in {field.present:,} of {field.records:,} records"
    yield draft.typed.why
    if draft.suspicion:
        yield f"may be personal data, since {draft.suspicion}: decide on `pii`"
    elif (values := described(field, draft.typed)) is not None:
        yield values
    if field is event:
        yield "the time by which CURATED is partitioned, and so critical"
    elif cde:
        yield "an id that every record has, and so critical"


def _of_key(chosen: Key, drafts: Sequence[_Draft]) -> Iterator[str]:
    where = " + ".join(f"`{written_source(path)}`" for path in chosen.paths)
    if not chosen.paths:
        yield f"what identifies a record: {chosen.why}. Name the key's source, or have every message bring its key"
    elif not chosen.certain:
        yield f"whether {where} identifies a record: {chosen.why}"
    if any(draft.suspicion for draft in drafts if draft.field.path in chosen.paths):
        yield f"another key, if {where} is personal data: a key stands in every layer as it came"


def _of_times(fields: Sequence[Field], types: Mapping[Path, Typed], event: Field | None) -> Iterator[str]:
    if event is None:
        yield "`partition_by`: no field is a date or time that every record has"
    if (written := events.written_time(fields, types)) is not None:
        source = written_source(written.path)
        yield f"a message's `publish_time`, which tells the latest record of a key: `{source}` seems to be right"


def _of_columns(drafts: Sequence[_Draft]) -> Iterator[str]:
    if suspects := [f"`{draft.name}`" for draft in drafts if draft.suspicion]:
        yield (
            f"`pii` (sha256, mask or drop) or none for {', '.join(suspects)}: they may hold personal data, and so "
            "does sample.jsonl"
        )
    yield from (f"the type of `{draft.name}`: {draft.typed.why}" for draft in drafts if draft.typed.open)


def _listed(paths: Sequence[Path]) -> str:
    shown = ", ".join(f"`{written_source(path)}`" for path in paths[:_SHOWN])
    return shown if len(paths) <= _SHOWN else f"{shown} and {len(paths) - _SHOWN:,} more"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
