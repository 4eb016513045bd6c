"""The message_id of a record that came without one."""

import hashlib


def message_id(record: bytes, occurrence: int) -> str:
    """The id of a file's record: the same content at the same occurrence has the same id, whatever object brings it.

    `occurrence` counts the equal records before it in its object: an object may hold the same line twice, and both are
    messages; the same object under another name brings no new ones. 64 hexadecimal digits.
    """
    return hashlib.sha256(b"%d\n%b" % (occurrence, record)).hexdigest()
