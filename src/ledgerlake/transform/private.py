"""STANDARDIZED's rows without the texts that their contract calls personal data: what may leave the layer whole."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ledgerlake.contracts.model import Contract
from ledgerlake.contracts.sources import Attribute, Path
from ledgerlake.records.flatten import RESCUED
from ledgerlake.records.layout import Layout
from ledgerlake.records.paths import pointer, segments
from ledgerlake.records.privacy import MASK

_ATTRIBUTES: Final = "attributes"
_TEXTS: Final = "map<string,string>"


def without_private(standardized: DataFrame, contract: Contract, layout: Layout) -> DataFrame:
    """The same rows and columns, with MASK for each personal text: in columns, in `rescued` and in `attributes`.

    Personal are the sources of columns with `pii`, what lies in them and what they lie in: a source that is an object
    today may be one text or a list tomorrow.
    """
    if not contract.private_sources:
        return standardized
    hidden = private_columns(contract, layout)
    masked = {name: F.when(F.col(name).isNotNull(), MASK) for name in standardized.columns if name in hidden}
    paths = [source for source in contract.private_sources if not isinstance(source, Attribute)]
    names = [source.name for source in contract.private_sources if isinstance(source, Attribute)]
    if paths:
        masked[RESCUED] = _hidden(F.col(RESCUED), lambda key: _meets(key, paths))
    if names:
        held = F.from_json(_ATTRIBUTES, _TEXTS)
        masked[_ATTRIBUTES] = F.to_json(_hidden(held, lambda key: key.isin(names)))
    return standardized.withColumns(masked)


def private_columns(contract: Contract, layout: Layout) -> frozenset[str]:
    """STANDARDIZED's payload columns that may hold personal data."""
    return frozenset(owned.name for owned in layout.columns if contract.is_private(segments(owned.pointer)))


def _hidden(texts: Column, hides: Callable[[Column], Column]) -> Column:
    """A map of texts with MASK for those whose key is to be hidden."""
    return F.transform_values(texts, lambda key, text: F.when(hides(key), MASK).otherwise(text))


def _meets(key: Column, paths: Sequence[Path]) -> Column:
    """Whether a JSON Pointer is one of the paths, lies in one, or one lies in it (Contract.is_private in Spark)."""
    around = {pointer(path[:depth]) for path in paths for depth in range(1, len(path) + 1)}
    within = [key.startswith(pointer(path) + "/") for path in paths]
    return reduce(or_, within, key.isin(sorted(around)))
