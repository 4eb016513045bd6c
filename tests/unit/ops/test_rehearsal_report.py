"""What a review and a rehearsal say to a person, and when they are no good."""

from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console, RenderableType

from ledgerlake.contracts.review import Reviewed
from ledgerlake.jobs.comparison import ColumnChange, Sample
from ledgerlake.jobs.rehearsal import BrokenRule, Ends, NewColumn, Offence, Offender, RehearsalReport, RehearsalRequest
from ledgerlake.ops.contract_review import review_report
from ledgerlake.ops.rehearsal_report import report

REPORT = RehearsalReport(
    topic="orders",
    contract_version=3,
    days=7,
    since=datetime(2026, 1, 11, 10, tzinfo=UTC),
    in_window=300_000,
    looked_at=102,
    duplicates=2,
    before=Ends(curated=90, superseded=5, rejected=4, parse_errors=1, warned=0),
    after=Ends(curated=90, superseded=5, rejected=4, parse_errors=1, warned=0),
    newly_rejected=0,
    offences=(),
    newly_accepted=0,
    answered=(),
    changed=0,
    columns=(),
    new_columns=(),
    rules=(),
)
OFFENCE = Offence(
    kind="cast", column="paid", rule="date", records=2, samples=(Offender(message_id="m1", value="\x1b[31msoon"),)
)
NARROWED = Reviewed(
    id="type_changed:amount",
    kind="type_changed",
    pointer="/payload_columns/0/type",
    column="amount",
    impact="breaking",
    before="bigint",
    after="int",
    reason="not every bigint fits int",
    remedy='add "rebuild": {"reason": "…"}',
    refused=True,
)
ADDED = Reviewed(
    id="column_added:paid",
    kind="column_added",
    pointer="/payload_columns/1",
    column="paid",
    impact="safe",
    before=None,
    after='{"type": "date"}',
    reason="the column is added",
    remedy="",
    refused=False,
)


def but(**changes: Any) -> RehearsalReport:
    return REPORT.model_copy(update=changes)


def lines(shown: RenderableType) -> list[list[str]]:
    console = Console(width=200, no_color=True)
    with console.capture() as captured:
        console.print(shown)
    return [line.split() for line in captured.get().splitlines()]


def text(shown: RenderableType) -> str:
    return "\n".join(" ".join(words) for words in lines(shown))


def test_the_days_end_with_the_newest_record_but_never_in_the_future() -> None:
    request = RehearsalRequest(topic="orders", contract="{}", days=7, sample=None)
    newest, now = datetime(2026, 1, 18, 10, tzinfo=UTC), datetime(2026, 11, 26, tzinfo=UTC)
    assert request.since(newest, now) == datetime(2026, 1, 11, 10, tzinfo=UTC)
    assert request.since(datetime(2099, 1, 1, tzinfo=UTC), now) == datetime(2026, 11, 19, tzinfo=UTC)


def test_a_rehearsal_that_changes_nothing_is_good_and_says_what_was_looked_at() -> None:
    told = text(report(REPORT, REPORT.failures()))
    assert "102 of 300,000 rows of RAW published since 2026-01-11 10:00 UTC, 2 duplicates; beside version 3" in told
    assert "curated 90 90" in told
    assert "nothing speaks against it" in told
    assert "newly" not in told


def test_each_difference_is_told_with_examples() -> None:
    told = lines(
        report(
            but(
                newly_rejected=2,
                offences=(OFFENCE,),
                newly_accepted=1,
                answered=(OFFENCE.model_copy(update={"rule": "int"}),),
                changed=1,
                columns=(ColumnChange(column="note", rows=1, samples=(Sample(id="m2", before=None, after="none"),)),),
                new_columns=(NewColumn(column="paid", type="date", records=1, samples=(Sample(id="m3", after="d"),)),),
                rules=(BrokenRule(rule="even", action="warn", records=4, sample="m4"),),
                changes=(ADDED,),
            ),
            (),
        )
    )
    assert ["cast", "paid", "date", "2", "m1", "\\x1b[31msoon"] in told
    assert ["cast", "paid", "int", "2", "m1", "\\x1b[31msoon"] in told
    assert ["note", "1", "m2", "NULL", "none"] in told
    assert ["paid", "date", "1", "m3", "d"] in told
    assert ["warn", "rule", "even:", "4", "rows", "break", "it,", "e.g.", "m4;", "they", "are", "counted"] in told


def test_of_personal_data_only_the_number_of_changed_rows_is_told() -> None:
    told = lines(report(but(changed=4, columns=(ColumnChange(column="name", rows=4, samples=()),)), ()))
    assert ["name", "4", "personal", "data"] in told


def test_a_new_dataset_stands_beside_nothing() -> None:
    told = text(report(but(contract_version=0, before=None, looked_at=300_000), ()))
    assert "all 300,000 rows of RAW" in told
    assert "with nothing in force beside it" in told
    assert "curated - 90" in told


def test_newly_rejected_rows_fail_a_rehearsal_unless_so_many_are_allowed() -> None:
    found = but(newly_rejected=2, offences=(OFFENCE,))
    assert found.failures() == ("2 rows would be newly rejected (2.00 %)",)
    assert found.failures(allow_rejected=1.9)
    assert found.failures(allow_rejected=2) == ()
    assert but(in_window=0, looked_at=0, duplicates=0).percent_rejected == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rules": (BrokenRule(rule="sane", action="fail", records=1, sample="m1"),)}, "would stop the topic: sane"),
        ({"changes": (ADDED, NARROWED)}, "would be refused: type_changed:amount"),
    ],
)
def test_a_fail_rule_and_a_refused_change_fail_a_rehearsal_whatever_is_allowed(changes: Any, reason: str) -> None:
    found = but(**changes)
    (failure,) = found.failures(allow_rejected=100)
    assert reason in failure
    told = text(report(found, (failure,)))
    assert reason in told
    assert "publish it with" not in told


def test_a_review_groups_by_impact_and_says_what_to_write() -> None:
    told = text(review_report("orders", "version 3", (ADDED, NARROWED)))
    assert "orders against version 3" in told
    assert told.index("SAFE") < told.index("column_added:paid") < told.index("BREAKING") < told.index("type_changed")
    assert 'nothing → {"type": "date"}' in told
    assert "bigint → int" in told
    assert "not every bigint fits int" in told
    assert '→ add "rebuild": {"reason": "…"}' in told
    assert told.endswith("2 changes: 1 safe, 1 breaking; 1 would be refused")
    assert "nothing changes" in text(review_report("orders", "version 3", ()))
