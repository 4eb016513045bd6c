"""What happens at a point, and what a calm topic tells: the crash tests' own."""

from crash.conftest import meanwhile, told_before, uninterrupted

__all__ = ["meanwhile", "told_before", "uninterrupted"]
