"""What a dataset is: the contract model, its validation, and what may change between two versions (design 3.2)."""

from ledgerlake.contracts.model import Column, Contract, EnvelopeColumn, Rule
from ledgerlake.contracts.problems import ContractError, Problem
from ledgerlake.contracts.sources import Attribute, Path
from ledgerlake.contracts.types import ColumnType
from ledgerlake.contracts.validation import load

__all__ = [
    "Attribute",
    "Column",
    "ColumnType",
    "Contract",
    "ContractError",
    "EnvelopeColumn",
    "Path",
    "Problem",
    "Rule",
    "load",
]
