"""A file of sample records: what is read, how much of it, and what is told of a bad one."""

import gzip
import json

import pytest

from ledgerlake.ops import sample_file
from ledgerlake.ops.sample_file import BadSample, read


@pytest.fixture
def sample(tmp_path):
    def write(name, content):
        file = tmp_path / name
        data = content if isinstance(content, bytes) else content.encode()
        file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return file

    return write


def records(file):
    return [json.loads(payload) for payload in read(file).payloads]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "a.jsonl.gz", "A.JSONL"])
def test_lines_are_records_as_they_are(sample, name):
    assert read(sample(name, '{"n": 1.10}\n\n{"n":1e5}\n')).payloads == ('{"n": 1.10}', '{"n":1e5}')


@pytest.mark.parametrize(
    "text", ['[{"n": 1.10},\n {"n": -0}]', '{\n"n": 1.10}\n{\n"n": -0}', '{"n":\r1.10}\n{"n": -0}']
)
def test_a_document_is_cut_into_records_on_one_line_whose_numbers_keep_their_text(sample, text):
    payloads = read(sample("a.json", text)).payloads
    assert [payload.replace(" ", "") for payload in payloads] == ['{"n":1.10}', '{"n":-0}']


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_rows_are_objects_of_texts(sample, name, separator):
    text = 'id,note\r\n1,"a ""b"",\nc"\r\n02,\r\n\r\n3\r\n'.replace(",", separator)
    file = sample(name, text)
    assert records(file) == [{"id": "1", "note": f'a "b"{separator}\nc'}, {"id": "02", "note": ""}, {"id": "3"}]
    assert read(file).untyped


def test_a_byte_order_mark_is_no_part_of_the_first_name(sample):
    assert records(sample("a.csv", "\ufeffid,größe\n1,2\n")) == [{"id": "1", "größe": "2"}]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", '{"a": 1}\n\n{"a": \n', "line 3 of"),
        ("a.jsonl", '{"a": 1}\n[1]\n', "line 2 of"),
        ("a.jsonl", '{"a": NaN}\n', "NaN is not JSON"),
        ("a.jsonl", b'{"a": "\xff"}\n', "is not UTF-8"),
        ("a.jsonl", "\ufeff{}\n", "line 1 of"),
        ("a.json", '[{"a": 1}, 2]', "record 2 of"),
        ("a.json", "nothing", "record 1 of"),
        ("a.jsonl", "", "holds no records"),
        ("a.json", "[]", "holds no records"),
        ("a.csv", "", "holds no records"),
        ("a.csv", "id,name\n", "holds no records"),
        ("a.csv", "id,name\n1,2\n1,2,3\n", "line 3 of"),
        ("a.csv", 'id,name\n1,"2" 3\n', "line 2 of"),
        ("a.csv", b"id\n\xff\n", "line 2 of"),
        ("a.csv", "id,\n1,2\n", "column 2 of"),
        ("a.csv", "1,2\n3,4\n", "begins with data ('1')"),
        ("a.csv", "id,id\n1,2\n", "names the column 'id' twice"),
        ("a.xml", "<a/>", "give one of .jsonl"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(sample, name, content, told):
    with pytest.raises(BadSample) as refused:
        read(sample(name, content))
    assert told in str(refused.value)


def test_a_missing_or_broken_file_is_told(sample, tmp_path):
    with pytest.raises(BadSample, match="cannot be read: No such file"):
        read(tmp_path / "nothing.jsonl")
    for name in ("cut.jsonl.gz", "cut.csv.gz"):
        file = sample(name, '{"a": 1}\n' * 1000)
        file.write_bytes(file.read_bytes()[:-12])
        with pytest.raises(BadSample, match="cannot be unpacked"):
            read(file)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_one_huge_line_is_told_without_being_held(sample, name):
    with pytest.raises(BadSample, match=r"1 of .* has .*bytes"):
        read(sample(name, "x" * 3_000_000))


@pytest.mark.parametrize(("name", "line"), [("a.jsonl", '{"a": 1}\n'), ("a.csv", "1\n")])
def test_only_the_first_records_are_read(sample, name, line):
    head = "a\n" if name == "a.csv" else ""
    found = read(sample(name, head + line * (sample_file.MAX_RECORDS + 1)))
    assert (len(found.payloads), found.more) == (sample_file.MAX_RECORDS, True)
    assert not read(sample(name, head + line * 2)).more


def test_no_more_bytes_are_held_than_a_proposal_needs(sample, monkeypatch):
    monkeypatch.setattr(sample_file, "MAX_BYTES", 20)
    found = read(sample("a.jsonl", '{"a": 1}\n' * 5))
    assert (len(found.payloads), found.more) == (3, True)


def test_a_lone_record_that_holds_a_list_of_objects_is_noticed(sample):
    assert read(sample("a.json", '{"type": "x", "features": [{"a": 1}, {"a": 2}]}')).inner == "features"
    assert read(sample("a.json", '{"a": [1, 2]}')).inner is None
