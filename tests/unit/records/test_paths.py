import pytest

from ledgerlake.records.paths import column_name, pointer, segments


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("event", "userId"), "event_userid"),
        (("a",), "a"),
        (("a", ""), "a__"),
        (("",), "_"),
        (("Größe €",), "gr__e__"),
        (("İ",), "_"),  # lower-casing by Unicode would make two characters of it
        (("😀",), "_"),
        (("a.b", "c-d"), "a_b_c_d"),
        (("message_id",), "payload_message_id"),
        (("message", "id"), "payload_message_id"),
        (("Rescued",), "payload_rescued"),
        (("_file",), "payload__file"),
        (("", "file"), "__file"),
        (("x", "message_id"), "x_message_id"),
        (("error_code",), "error_code"),
    ],
)
def test_a_path_becomes_a_column_name(path, name):
    assert column_name(path) == name


def test_a_source_is_read_like_its_segments():
    assert column_name("event.userId") == column_name("/event/userId") == "event_userid"


@pytest.mark.parametrize("path", [("a",), ("a", "b"), ("a/b", "c~d"), ("~1",), ("",), ("", ""), ("a.b",), ("/",)])
def test_a_pointer_reads_back_as_its_segments(path):
    assert segments(pointer(path)) == path


def test_a_dotted_source_is_split_at_its_dots():
    assert segments("event.a~b") == ("event", "a~b")


def test_a_pointer_with_a_wrong_escape_is_refused():
    with pytest.raises(ValueError, match="~0"):
        segments("/a~b")
