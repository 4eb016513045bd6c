"""Failed records by reason, from wherever they are kept."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from ledgerlake.ops.errors_export import records
from ledgerlake.ops.errors_report import failures_table
from ledgerlake.ops.errors_view import Selection, failures, refused_files
from ledgerlake.state.file_registry import RefusedFile
from ledgerlake.tables import append, definitions

AT = datetime(2026, 1, 18, tzinfo=UTC)


def write(lake, definition, rows):
    table = lake.catalog.create_table(
        lake.identifier(definition.layer, definition.name), definition.schema, partition_spec=definition.spec
    )
    append.append(table, rows)


def violation(kind, column, rule):
    return {"kind": kind, "column": column, "rule": rule, "value": "x"}


def curated_error(message_id, *violations, topic="events"):
    return {"message_id": message_id, "topic_name": topic, "violations": list(violations), "failed_at": AT}


def reasons(found):
    return {(failure.topic, failure.place, failure.reason): failure.records for failure in found}


def test_without_any_table_nothing_has_failed(lake):
    assert failures(lake) == []


def test_every_violation_of_a_record_is_a_reason(lake):
    missing, cast = violation("cde", "event_time", "required"), violation("cast", "amount", "int")
    check, rule = violation("check", "state", "allowed_values"), violation("rule", None, "not_negative")
    unknown = violation("check", None, "drift")
    broken = [curated_error("a", missing, cast, unknown), curated_error("b", missing, check, rule)]
    write(lake, definitions.errors(), broken)
    assert reasons(failures(lake)) == {
        ("events", "curated.errors", "event_time is missing"): 2,
        ("events", "curated.errors", "amount is no int"): 1,
        ("events", "curated.errors", "state breaks allowed_values"): 1,
        ("events", "curated.errors", "an unknown field breaks drift"): 1,
        ("events", "curated.errors", "breaks rule not_negative"): 1,
    }


def test_a_dead_letter_without_an_id_is_told_by_its_body(lake):
    row = {"topic_name": "events", "body": "nonsense", "error_code": "not_json", "drained_at": AT}
    write(lake, definitions.dlq_errors(), [row, row | {"message_id": "m1"}])
    (found,) = failures(lake)
    assert (found.place, found.reason, found.samples) == ("raw.dlq_errors", "not_json", ["m1", "nonsense"])
    assert found.as_dict()["latest"].startswith("2026-01-18T00:00:00")


def test_only_the_topic_asked_for_is_shown(lake):
    bad = violation("cde", "event_time", "required")
    write(lake, definitions.errors(), [curated_error("a", bad), curated_error("b", bad, topic="orders")])
    assert {failure.topic for failure in failures(lake, Selection(topic="orders"))} == {"orders"}


def test_no_more_samples_are_given_than_asked_for(lake):
    bad = violation("cde", "event_time", "required")
    write(lake, definitions.errors(), [curated_error(f"m{n}", bad) for n in range(9)])
    (found,) = failures(lake, limit=2)
    assert (found.records, len(found.samples)) == (9, 2)


class Registry:
    def __init__(self, *files):
        self.files = files

    def refused(self):
        return iter(self.files)


def test_refused_files_are_told_by_the_folder_they_lie_in():
    registry = Registry(
        RefusedFile("bucket/landing/ghosts/b.json", "unknown_topic", "…", AT),
        RefusedFile("bucket/ghosts/a.json", "unknown_topic", "…", AT),
        RefusedFile("bucket/landing/stray.json", "no_topic", "…", AT),
    )
    found = refused_files(registry)
    assert reasons(found) == {
        ("", "landing bucket", "file refused: no_topic"): 1,
        ("ghosts", "landing bucket", "file refused: unknown_topic"): 2,
    }
    assert found[1].samples == ["ghosts/a.json", "landing/ghosts/b.json"]
    assert reasons(refused_files(registry, Selection(topic="events"))) == {}


def test_reasons_are_told_by_kind_column_and_rule_with_first_and_last_seen(lake):
    cast = violation("cast", "amount", "int")
    rows = [curated_error(f"m{day}", cast) | {"failed_at": AT + timedelta(days=day)} for day in range(3)]
    write(lake, definitions.errors(), rows)
    (found,) = failures(lake)
    assert (found.kind, found.column, found.rule) == ("cast", "amount", "int")
    assert (found.earliest, found.latest) == (AT, AT + timedelta(days=2))


def both(lake):
    """A record with two violations, one with a third, and one of each other place."""
    missing, cast = violation("cde", "event_time", "required"), violation("cast", "amount", "int")
    rule = violation("rule", None, "not_negative")
    write(lake, definitions.errors(), [curated_error("a", missing, cast), curated_error("b", rule)])
    place = {"topic_name": "events", "error_code": "bad"}
    write(lake, definitions.dlq_errors(), [place | {"message_id": "c", "drained_at": AT}])
    write(lake, definitions.firehose_errors(), [place | {"message_id": "d", "failed_at": AT}])
    write(lake, definitions.parse_errors(), [place | {"message_id": "e", "failed_at": AT}])


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        (Selection(), {"a", "b", "c", "d", "e"}),
        (Selection(kinds=("dlq", "parse")), {"c", "e"}),
        (Selection(kinds=("cde",)), {"a"}),
        (Selection(column="amount"), {"a"}),
        (Selection(rule="not_negative"), {"b"}),
        (Selection(column="amount", rule="bigint"), set()),
        (Selection(kinds=("file",)), set()),
        (Selection(since=AT), {"a", "b", "c", "d", "e"}),
        (Selection(until=AT), set()),
        (Selection(since=AT + timedelta(seconds=1)), set()),
        (Selection(topic="orders"), set()),
    ],
)
def test_failures_are_chosen_by_all_that_is_given(lake, selection, ids):
    both(lake)
    assert {sample for failure in failures(lake, selection) for sample in failure.samples} == ids
    assert {record["message_id"] for record in records(lake, selection)} == ids


def test_what_was_put_right_is_shown_when_asked_for(lake):
    bad = violation("cde", "event_time", "required")
    done = curated_error("done", bad) | {"resolved_by": "replay-1", "resolved_at": AT}
    write(lake, definitions.errors(), [curated_error("open", bad), done])
    shown = {
        answered: failures(lake, Selection(answered=answered))[0].samples for answered in ("open", "resolved", "all")
    }
    assert shown == {"open": ["open"], "resolved": ["done"], "all": ["done", "open"]}


def test_only_the_partition_and_the_files_that_can_match_are_opened(lake):
    bad = violation("cde", "event_time", "required")
    rows = [curated_error(f"m{day}", bad) | {"failed_at": AT + timedelta(days=day)} for day in range(5)]
    write(lake, definitions.errors(), rows[:1])
    table = lake.load("curated", "errors")
    for row in [*rows[1:], curated_error("other", bad, topic="orders")]:
        append.append(table, [row])
    week = Selection(topic="events", since=AT + timedelta(days=2), until=AT + timedelta(days=4))
    assert len(list(table.refresh().scan(row_filter=week.where("failed_at")).plan_files())) == 2
    resolved = Selection(answered="resolved")
    assert list(table.scan(row_filter=resolved.where("failed_at")).plan_files()) == []


def test_a_report_fits_a_narrow_terminal(lake):
    both(lake)
    out = Console(width=80, file=io.StringIO())
    out.print(failures_table(failures(lake)))
    assert "breaks rule" in out.file.getvalue()
    assert "curated.errors" in out.file.getvalue()
    assert max(map(len, out.file.getvalue().splitlines())) <= 80
