"""The message_id of a record that came without one."""

import hashlib

from ledgerlake.records.envelope import MAX_MESSAGE_ID


def message_id(record: bytes, occurrence: int) -> str:
    """The id of a file's record: the same content at the same occurrence has the same id, whatever object brings it.

    `occurrence` counts the equal records before it in its object: an object may hold the same line twice, and both are
    messages; the same object under another name brings no new ones. 64 hexadecimal digits.
    """
    return hashlib.sha256(b"%d\n%b" % (occurrence, record)).hexdigest()


def replacement_id(original: str, payload: str) -> str:
    """The id of an edited message: `<original>~<12 hexadecimal digits>` of the new payload; the same edit, the same id.

    An original that leaves no room is cut, and stands in the digest whole.
    """
    room = MAX_MESSAGE_ID - 13
    digest = hashlib.sha256((payload if len(original) <= room else f"{original}\n{payload}").encode())
    return f"{original[:room]}~{digest.hexdigest()[:12]}"
