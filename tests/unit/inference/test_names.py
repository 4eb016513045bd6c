"""What a field's name says."""

import pytest

from ledgerlake.inference.names import column_names, words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("userID", "user id"),
        ("HTTPStatus", "http status"),
        ("mag_type", "mag type"),
        ("Unit Price (EUR)", "unit price eur"),
        ("sha256", "sha 256"),
        ("größe", "groe"),
        ("", ""),
    ],
)
def test_a_name_is_read_word_by_word(name, expected):
    assert " ".join(words(name)) == expected


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a.b", "c"], ["b", "c"]),
        (["a.b", "b"], ["a_b", "b"]),
        (["order.total", "order.time", "id"], ["total", "time", "id"]),
        (["order.total", "customer.name", "id"], ["order_total", "customer_name", "id"]),
        (["x.user.userId", "y", "z"], ["x_user_id", "y", "z"]),
        (["2nd", "日本"], ["field_2_nd", "field"]),
        (["a-b", "a b"], ["a_b", "a_b_2"]),
        (["batch_id"], ["batch_id_2"]),
    ],
)
def test_columns_are_named_by_their_paths(paths, expected):
    given = [tuple(path.split(".")) for path in paths]
    assert column_names(given, frozenset({"batch_id"})) == expected
