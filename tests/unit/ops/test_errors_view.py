"""Failed records by reason, from wherever they are kept."""

from datetime import UTC, datetime

from ledgerlake.ops.errors_view import failures, refused_files
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
    missing, cast, rule = violation("cde", "event_time", "required"), violation("cast", "amount", "int"), None
    rule = violation("rule", None, "not_negative")
    write(lake, definitions.errors(), [curated_error("a", missing, cast), curated_error("b", missing, rule)])
    assert reasons(failures(lake)) == {
        ("events", "curated.errors", "event_time is missing"): 2,
        ("events", "curated.errors", "amount is no int"): 1,
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
    assert {failure.topic for failure in failures(lake, "orders")} == {"orders"}


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
    assert reasons(refused_files(registry, "events")) == {}
