"""Personal data: what of it leaves the typed kernel (design 3.2, ADR 0017)."""

import hashlib
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from ledgerlake.contracts.model import Contract
from ledgerlake.errors import TerminalError
from ledgerlake.records.sources import null_where

MASK: Final = "***"
"""What stands for a text that is kept out: it tells neither the text's length nor any part of it."""


class NoSalt(TerminalError):
    """A contract hashes personal data, and there is no salt to do it with."""


def require_salt(contract: Contract, salt: str | None) -> None:
    """Raises NoSalt when the contract needs one."""
    if salt is None and contract.hashed:
        raise NoSalt(f"{contract.table_name} has columns with `pii`: `sha256`, and no salt was given")


def protected(values: pa.Array, pii: Literal["sha256", "mask", "drop"], salt: str | None) -> pa.Array:
    """What CURATED holds of a personal column's values; NULL stays NULL.

    sha256: the 64 hexadecimal digits of the SHA-256 of salt and text, in UTF-8. mask: MASK. drop: NULL.
    """
    if pii == "drop":
        return pa.nulls(len(values), values.type)
    return masked(values) if pii == "mask" else _hashed(values, salt)


def masked(values: pa.Array) -> pa.StringArray:
    """MASK for each value, NULL for NULL."""
    return null_where(pa.repeat(MASK, len(values)), pc.is_null(values))


def _hashed(values: pa.StringArray, salt: str | None) -> pa.StringArray:
    if salt is None:
        raise NoSalt("personal data cannot be hashed without a salt")
    salted = hashlib.sha256(salt.encode())
    return pa.array(
        [None if text is None else _digest(salted.copy(), text) for text in values.to_pylist()], pa.string()
    )


def _digest(salted: "hashlib._Hash", text: str) -> str:
    salted.update(text.encode())
    return salted.hexdigest()
