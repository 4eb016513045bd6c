"""What sample records hold, path by path."""

import json

from ledgerlake.inference.profile import profile


def fields(*records):
    return {".".join(field.path): field for field in profile([json.dumps(record) for record in records]).fields}


def test_each_path_has_its_texts_and_kinds():
    found = fields({"a": {"b": 1.50}, "c": "x"}, {"a": {"b": "y"}, "c": None}, {"c": " "})
    assert found["a.b"].texts.to_pylist() == ["1.5", "y", None]
    assert found["a.b"].kinds == {"number", "string"}
    assert (found["c"].present, found["c"].blank, found["c"].values) == (1, 1, ("x",))
    assert not found["c"].everywhere


def test_the_text_of_numbers_is_that_of_the_record():
    (field,) = profile(['{"n": 1.10}', '{"n": 1e5}']).fields
    assert field.values == ("1.10", "1e5")


def test_what_is_an_object_at_times_is_one_field_kept_whole():
    found = fields({"a": {"b": 1}}, {"a": 2})
    assert found["a"].texts.to_pylist() == ['{"b":1}', "2"]
    assert list(found) == ["a"]


def test_an_object_that_is_empty_at_times_is_no_field():
    assert list(fields({"a": {"b": 1}}, {"a": {}})) == ["a.b"]


def test_what_is_null_wherever_it_is_has_no_field_but_is_known():
    records = [{"a": None, "b": {"c": None, "d": None}, "e": None}, {"e": {"f": 1}, "b": {"d": 2}, "a": None}]
    assert profile([json.dumps(record) for record in records]).nulls == (("a",), ("b", "c"))


def test_an_object_whose_keys_are_data_is_kept_whole():
    found = fields(*({"id": n, "hosts": {f"host-{n}": {"load": n}}} for n in range(30)))
    assert list(found) == ["id", "hosts"]
    assert found["hosts"].kinds == {"object"}


def test_an_object_with_many_fields_that_all_records_have_is_not():
    assert len(fields(*({"row": {f"field_{n}": n for n in range(30)}} for _ in range(30)))) == 30
