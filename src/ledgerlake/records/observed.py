"""What the batches so far showed of each payload column: the kinds of its values, and how regularly it came.

It travels in the summary of STANDARDIZED's snapshots, a few characters a column. Lost, it is learnt anew (ADR 0016).
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

REGULAR: Final = 10
"""Batches that must have held a column before its absence is news."""
ABSENT: Final = 10
"""Batches without a column that are news at the earliest."""
PATIENCE: Final = 3
"""So many times its longest gap a column may be away."""
MOST: Final = 10_000
"""Batches without a column that are counted."""
_BETWEEN, _WITHIN = ",", "."


class Observed(NamedTuple):
    """A column so far: its values' kinds (records.kinds), the batches that held it (at most REGULAR are counted), those
    since the last one that did, and its longest gap.
    """

    kinds: int = 0
    batches: int = 0
    gap: int = 0
    longest: int = 0

    @property
    def patience(self) -> int:
        """Batches without the column after which it counts as stopped."""
        return min(max(ABSENT, PATIENCE * self.longest), MOST)

    @property
    def stopped(self) -> bool:
        """Whether a column that used to come no longer does."""
        return self.batches >= REGULAR and self.gap >= self.patience

    def after(self, kinds: int) -> "Observed":
        """The column after one more batch, which held values of these kinds; 0 is none."""
        if kinds:
            longest = max(self.longest, self.gap)
            return Observed(self.kinds | kinds, min(self.batches + 1, REGULAR), 0, longest)
        return self._replace(gap=min(self.gap + 1, MOST) if self.batches else 0)


def written(columns: Iterable[Observed]) -> str:
    """The columns as one text; one that comes with every batch is a number, its kinds."""
    return _BETWEEN.join(
        str(column.kinds) if column[1:] == (REGULAR, 0, 0) else _WITHIN.join(map(str, column)) for column in columns
    )


def read(text: str, width: int) -> list[Observed]:
    """The columns of a text that `written` made, `width` of them; nothing is known of those past its end.

    A text that it did not make tells nothing at all.
    """
    try:
        found = [_read(part) for part in text.split(_BETWEEN)] if text else []
    except (ValueError, TypeError):
        found = []
    if len(found) > width:
        found = []
    return found + [Observed()] * (width - len(found))


def _read(part: str) -> Observed:
    numbers = [int(number) for number in part.split(_WITHIN)]
    return Observed(numbers[0], REGULAR) if len(numbers) == 1 else Observed(*numbers)
