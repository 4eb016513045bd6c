"""Rows counted by who they are: two sets of rows are the same when counts and hashes of their message_ids are."""

from dataclasses import dataclass
from typing import Self

from pyspark.sql import Column, Row
from pyspark.sql import functions as F  # noqa: N812 — what everybody calls it

MESSAGE_ID = "message_id"


@dataclass(frozen=True)
class Identity:
    """A multiset of message_ids: how many, and two independent digests of which.

    `low` and `high` sum the halves of each id's 64-bit hash: sums add up over the parts of a batch, whatever their
    order, and stay within a bigint for two billion rows.
    """

    rows: int
    low: int
    high: int

    def __add__(self, other: "Identity") -> "Identity":
        return Identity(self.rows + other.rows, self.low + other.low, self.high + other.high)

    @classmethod
    def read(cls, row: Row, name: str) -> Self:
        """The identity that `aggregates(name)` computed."""
        return cls(*((row[f"${name}_{part}"] or 0) for part in ("rows", "low", "high")))


NOBODY = Identity(0, 0, 0)


def aggregates(name: str, where: Column | None = None) -> list[Column]:
    """The aggregates that make the Identity called `name`, of all rows or of those that meet `where`.

    Their own names begin with a dollar sign: no payload column can have one of them.
    """
    condition = F.lit(True) if where is None else where
    hashed = F.xxhash64(MESSAGE_ID)
    parts = {
        "rows": F.count(F.when(condition, 1)),
        "low": F.sum(F.when(condition, hashed.bitwiseAND(F.lit(0xFFFFFFFF)))),
        "high": F.sum(F.when(condition, F.shiftright(hashed, 32))),
    }
    return [column.alias(f"${name}_{part}") for part, column in parts.items()]
