"""Add a dataset: a folder under schemas/ with a contract that is right and a sample that shows what becomes of it."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledgerlake.contracts import ContractError, load
from ledgerlake.errors import TerminalError
from ledgerlake.inference.proposal import COMMENT, propose
from ledgerlake.ops import sample_file
from ledgerlake.ops.datasets import (
    CONTRACT,
    EXPECTATIONS,
    README,
    SAMPLE,
    Document,
    contract_text,
    expectations,
    expectations_text,
)
from ledgerlake.tables.definitions import RESERVED_TOPICS

KEPT_RECORDS: Final = 1_000
KEPT_BYTES: Final = 2 * 1024 * 1024
"""How much of a sample is kept beside the contract, whichever comes first: it goes into git."""

_FOR_EDITORS: Final = "docs/contract.schema.json"
_TO_DESCRIBE: Final = "what one row is, who answers for it and what each column means (`description`, `owner`)"


class CannotScaffold(TerminalError):
    """The dataset cannot be added; the message says why, and what to do."""


@dataclass(frozen=True)
class Scaffolded:
    """What was written.

    The contract was made from the `read` records, of which the sample holds `kept`; the file held `more`. `expected` is
    expectations.json, and `to_decide` what a person has to look at, one sentence each.
    """

    folder: Path
    read: int
    kept: int
    more: bool
    expected: Document
    to_decide: tuple[str, ...]


@dataclass(frozen=True)
class _Draft:
    """A contract without its head, the payloads of its sample, and where both come from."""

    contract: Document
    payloads: tuple[str, ...]
    read: int
    more: bool
    to_decide: tuple[str, ...]
    origin: str


def scaffold(dataset: str, schemas: Path, sample: Path | None = None) -> Scaffolded:
    """Write schemas/<dataset>/, from a sample's records or as an example to fill in.

    Raises CannotScaffold for a name that cannot be or is taken, BadSample for a sample that cannot be read.
    """
    folder = schemas / dataset
    _require_name(dataset)
    if not schemas.is_dir():
        raise CannotScaffold(f"there is no folder {schemas}: run this in the repository, or name it with --schemas")
    if folder.exists():
        raise CannotScaffold(f"{folder} exists and is not overwritten: choose another name, or move it away first")
    draft = _example() if sample is None else _from_sample(sample)
    text = contract_text(_headed(dataset, draft, schemas))
    expected = expectations(dataset, text, draft.payloads)
    files = {
        SAMPLE: "".join(f"{payload}\n" for payload in draft.payloads),
        EXPECTATIONS: expectations_text(expected),
        README: _readme(dataset, draft),
        CONTRACT: text,  # the last one: from then on Terraform and the tests see the dataset
    }
    try:
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise CannotScaffold(f"{folder} cannot be written: {error.strerror or error}") from error
    return Scaffolded(folder, draft.read, len(draft.payloads), draft.more, expected, draft.to_decide)


def _require_name(dataset: str) -> None:
    if not dataset:
        raise CannotScaffold("a dataset needs a name: make scaffold DATASET=orders, or ledgerlake scaffold orders")
    if dataset in RESERVED_TOPICS:
        raise CannotScaffold(f"`{dataset}` is the name of one of the lakehouse's own tables: write e.g. `my_{dataset}`")
    try:
        load(json.dumps({"table_name": dataset, "envelope_columns": [], "payload_columns": []}), dataset)
    except ContractError as error:
        problem = error.problems[0]
        raise CannotScaffold(f"a dataset cannot be called that: {problem.message}; {problem.remedy}") from error


def _from_sample(file: Path) -> _Draft:
    sample = sample_file.read(file)
    proposal = propose(sample.payloads, untyped=sample.untyped)
    decide = [_TO_DESCRIBE, *proposal.to_decide]
    if sample.inner:
        what = f"whether the whole file is one record, or its `{sample.inner}`, a list of objects, are the records"
        decide.insert(1, f"{what}: then write those one a line, e.g. jq -c '.{sample.inner}[]'")
    if sample.untyped:
        decide.append("how rows become messages: each is a JSON object of texts, as in sample.jsonl")
    kept = tuple(_kept(sample.payloads))
    return _Draft(proposal.contract, kept, len(sample.payloads), sample.more, tuple(decide), file.name)


def _kept(payloads: Sequence[str]) -> Iterator[str]:
    room = KEPT_BYTES
    for payload in payloads[:KEPT_RECORDS]:
        yield payload
        room -= len(payload.encode())
        if room <= 0:
            return


def _example() -> _Draft:
    key = "What identifies a record: its path, or a list of paths. Of several messages with one key the latest stands."
    time = "Your columns go here. `cde`: a record without it is an error. Times not in ISO 8601 need a `format`."
    types = "string, boolean, int, bigint, double, decimal(p,s), date, timestamp, json"
    amount = f"`source` is the path in the payload. The types are {types}."
    contract: Document = {
        "envelope_columns": [{"name": "idempotency_key", "type": "string", "source": "id", COMMENT: key}],
        "payload_columns": [
            {"name": "event_time", "type": "timestamp", "source": "event_time", "cde": True, COMMENT: time},
            {"name": "amount", "type": "decimal(12,2)", "source": "order.amount", COMMENT: amount},
        ],
        "partition_by": ["day(event_time)"],
    }
    payload = {"id": "example-1", "event_time": "2026-01-18T10:00:00Z", "order": {"amount": 19.9}}
    decide = (_TO_DESCRIBE, "all of the contract: its columns, key and partitions are an example, and so is the sample")
    return _Draft(contract, (json.dumps(payload),), 1, more=False, to_decide=decide, origin="")


def _headed(dataset: str, draft: _Draft, schemas: Path) -> Document:
    """The contract with what stands above its columns; `$schema` where the repository's page for editors is."""
    page = schemas.resolve().parent / _FOR_EDITORS
    origin = f"Proposed from {draft.read:,} records of {draft.origin}" if draft.origin else "An example"
    return {
        **({"$schema": Path(os.path.relpath(page, schemas.resolve() / dataset)).as_posix()} if page.exists() else {}),
        COMMENT: f"{origin}: check each line, add `description` and `owner`. Comments may go when they have served.",
        "table_name": dataset,
        **draft.contract,
    }


def _readme(dataset: str, draft: _Draft) -> str:
    whole = len(draft.payloads) == draft.read and not draft.more
    kept = f"{'all' if whole else 'the first'} {len(draft.payloads):,} records of {draft.origin}, as they came"
    decide = "\n".join(f"- [ ] {point}" for point in draft.to_decide)
    return f"""# {dataset}

Say here what the dataset is, who sends it, and under which licence its sample may be kept.

- `{CONTRACT}`: the contract; docs/contract.md says what it may hold.
- `{SAMPLE}`: {kept if draft.origin else "an example"}.
- `{EXPECTATIONS}`: what each line of the sample becomes; `make test` checks it.

To decide before it is published:

{decide}

Then:

    make test       # contract and sample are right
    make up         # locally; elsewhere make tf-apply ENV=…: its queue, dead-letter queue and RAW table are made
    make publish    # the contract comes into force

Messages go to the queue `{dataset}`, files under `landing/{dataset}/` in the landing bucket.
"""
