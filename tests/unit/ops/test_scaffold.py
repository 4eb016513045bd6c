"""A new dataset's folder: complete, right, and never over another one."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from ledgerlake.cli import app
from ledgerlake.contracts import load
from ledgerlake.contracts.json_schema import generated
from ledgerlake.ops import datasets
from ledgerlake.ops import scaffold as scaffolds
from ledgerlake.ops.scaffold import CannotScaffold, scaffold
from ledgerlake.tables import definitions

ROOT = Path(__file__).parents[3]


@pytest.fixture
def schemas(tmp_path):
    (tmp_path / "schemas").mkdir()
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs/contract.schema.json", tmp_path / "docs")
    return tmp_path / "schemas"


@pytest.fixture
def sample(tmp_path):
    def write(*records, name="orders.jsonl"):
        file = tmp_path / name
        file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        return file

    return write


def rows(count):
    return ({"id": f"o-{n}", "time": f"2026-01-18T10:00:{n % 60:02}Z", "amount": n + 0.5} for n in range(count))


def check(folder):
    """What the test suite asks of a dataset under schemas/."""
    text = (folder / "schema.json").read_text()
    jsonschema.Draft202012Validator(generated()).validate(json.loads(text))
    expected = datasets.expected(folder)
    assert datasets.found(folder, expected) == expected
    contract = load(text, folder.name)
    assert definitions.curated(contract).name == folder.name
    return contract


def test_without_a_sample_it_is_an_example_that_is_right(schemas):
    done = scaffold("orders", schemas)
    assert sorted(file.name for file in done.folder.iterdir()) == [
        "README.md",
        "expectations.json",
        "sample.jsonl",
        "schema.json",
    ]
    assert check(done.folder).key_sources == (("id",),)
    assert done.expected["curated"] == 1


def test_with_a_sample_the_contract_takes_it(schemas, sample):
    done = scaffold("orders", schemas, sample(*rows(50)))
    contract = check(done.folder)
    assert (done.expected["curated"], done.expected["errors"]) == (50, [])
    assert [str(column.type) for column in contract.columns] == ["timestamp", "decimal(18,2)"]
    assert done.expected["rows"]["1"]["time"] == "2026-01-18T10:00:00Z"


def test_a_csv_that_others_made_gives_what_a_person_would_write(schemas):
    done = scaffold("weather", schemas, ROOT / "tests/unit/inference/samples/seattle-weather.csv")
    contract = check(done.folder)
    assert (done.expected["curated"], done.expected["errors"]) == (40, [])
    assert contract.key_sources == (("date",),)
    assert [f"{column.name} {column.type}" for column in contract.columns] == [
        "date date",
        "precipitation double",
        "temp_max double",
        "temp_min double",
        "wind double",
        "weather string",
    ]
    assert [str(field) for field in contract.partition_by] == ["day(date)"]
    assert done.expected["rows"]["1"]["date"] == "2012-01-01"


def test_a_contract_leads_an_editor_to_the_schema(schemas):
    folder = scaffold("orders", schemas).folder
    where = json.loads((folder / "schema.json").read_text())["$schema"]
    assert (folder / where).resolve() == schemas.parent / "docs/contract.schema.json"
    shutil.rmtree(schemas.parent / "docs")
    assert "$schema" not in json.loads((scaffold("others", schemas).folder / "schema.json").read_text())


def test_the_readme_lists_what_is_to_be_decided(schemas, sample):
    done = scaffold("orders", schemas, sample({"id": 1, "email": "a@example.org"}))
    readme = (done.folder / "README.md").read_text()
    assert done.to_decide
    assert all(f"- [ ] {point}" in readme for point in done.to_decide)


def test_no_more_of_a_sample_is_kept_than_goes_into_git(schemas, sample, monkeypatch):
    done = scaffold("orders", schemas, sample(*rows(1200)))
    assert (done.read, done.kept) == (1200, 1000)
    monkeypatch.setattr(scaffolds, "KEPT_BYTES", 100)
    assert scaffold("others", schemas, sample(*rows(50))).kept == 2


def test_a_list_within_a_lone_record_is_asked_about(schemas, tmp_path):
    file = tmp_path / "all.json"
    file.write_text('{"features": [{"a": 1}, {"a": 2}]}')
    assert "jq -c '.features[]'" in scaffold("orders", schemas, file).to_decide[1]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "make scaffold DATASET=orders"),
        ("Order Lines", "write `order_lines`"),
        ("9lives", "write `lives`"),
        ("../orders", "write `orders`"),
        ("a" * 64, "a name begins"),
        ("errors", "one of the lakehouse's own tables: write e.g. `my_errors`"),
        ("parse_errors", "own tables"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_the_rule(schemas, name, told):
    with pytest.raises(CannotScaffold) as refused:
        scaffold(name, schemas)
    assert told in str(refused.value)
    assert list(schemas.iterdir()) == []


def test_a_dataset_is_never_overwritten(schemas, sample):
    (schemas / "orders").mkdir()
    with pytest.raises(CannotScaffold, match="exists and is not overwritten"):
        scaffold("orders", schemas, sample(*rows(1)))
    assert list((schemas / "orders").iterdir()) == []


def test_outside_a_repository_it_says_where_to_run(tmp_path):
    with pytest.raises(CannotScaffold, match="run this in the repository"):
        scaffold("orders", tmp_path / "schemas")


def test_a_folder_that_cannot_be_written_is_told(schemas, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CannotScaffold, match="No space left"):
        scaffold("orders", schemas)


def test_the_command_says_what_was_read_and_what_is_to_be_decided(schemas, sample):
    result = CliRunner().invoke(
        app, ["scaffold", "orders", "--sample", str(sample(*rows(10_001))), "--schemas", str(schemas)]
    )
    assert result.exit_code == 0
    assert "of 1,000 sample records 1,000 curated, 0 superseded, 0 with errors" in result.output
    assert "only the first 10,000 records" in result.output
    assert "to decide" in result.output


def test_the_command_fails_with_the_reason(schemas, tmp_path):
    result = CliRunner().invoke(app, ["scaffold", "Orders", "--schemas", str(schemas)])
    assert result.exit_code == 1
    assert "write `orders`" in result.output
    result = CliRunner().invoke(app, ["scaffold", "o", "--sample", str(tmp_path / "x.csv"), "--schemas", str(schemas)])
    assert result.exit_code == 1
    assert "cannot be read" in result.output


def test_expectations_are_written_anew_for_the_lines_that_they_show(schemas, sample):
    folder = scaffold("orders", schemas, sample(*rows(5))).folder
    expected = datasets.expected(folder)
    (folder / "expectations.json").write_text(json.dumps(expected | {"rows": {"2": {}}}))
    contract = json.loads((folder / "schema.json").read_text())
    contract["payload_columns"][1]["max"] = "3"
    (folder / "schema.json").write_text(json.dumps(contract))
    result = CliRunner().invoke(app, ["schema", "expect", str(folder / "schema.json")])
    assert "of 5 sample records 3 curated, 0 superseded, 2 with errors" in result.output
    anew = datasets.expected(folder)
    assert list(anew["rows"]) == ["2"]
    assert anew["errors"][0] == {"line": 4, "kind": "check", "column": "amount", "rule": "max", "value": "3.5"}


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("sample.jsonl", None, "sample.jsonl cannot be read"),
        ("sample.jsonl", b"\xff", "sample.jsonl cannot be read"),
        ("schema.json", None, "schema.json cannot be read"),
        ("expectations.json", b"[", "remove it and run: ledgerlake schema expect"),
        ("expectations.json", b"{}", "holds no expectations"),
        ("expectations.json", b'{"rows": {"first": {}}}', "holds no expectations"),
    ],
)
def test_a_broken_dataset_is_told(schemas, file, content, told):
    folder = scaffold("orders", schemas).folder
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    result = CliRunner().invoke(app, ["schema", "expect", str(folder / "schema.json")])
    assert result.exit_code == 1
    assert told in result.output


def test_expectations_that_are_missing_are_made(schemas):
    folder = scaffold("orders", schemas).folder
    before = (folder / "expectations.json").read_text()
    (folder / "expectations.json").unlink()
    datasets.expect(folder)
    assert (folder / "expectations.json").read_text() == before
