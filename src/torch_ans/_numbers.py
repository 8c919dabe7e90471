"""Checks of numbers that a caller gives."""

from __future__ import annotations

import operator
from typing import Any, List

__all__ = ["check_int", "check_range", "check_size", "check_sizes"]


def check_int(value: object, name: str) -> int:
    """An integer as an int; TypeError for anything else, such as a float tensor."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an int, got {type(value).__name__}") from None


def check_range(value: object, name: str, low: int, high: int, where: str = "") -> int:
    """An integer as an int.

    Args:
        value: what was given.
        name: of the argument.
        low: the least that it may be.
        high: the most.
        where: what a message says behind the range.

    Raises:
        TypeError: it is no integer.
        ValueError: it is out of range.
    """
    number = check_int(value, name)
    if low <= number <= high:
        return number
    raise ValueError(f"{name} must be in {low}..{high}{where}, got {number}")


def check_size(value: object, name: str) -> int:
    """A size as an int.

    Raises:
        TypeError: it is no integer.
        ValueError: it is negative, or more than any memory has.
    """
    size = check_int(value, name)
    if size < 0:
        raise ValueError(f"{name} must not be negative, got {size}")
    if size >= 2**63:
        raise ValueError(f"{name} must be less than 2**63, got {size}")
    return size


def check_sizes(value: Any, name: str) -> List[int]:
    """A size, or a sequence of sizes, as ints; raises what `check_size` does."""
    try:
        several = list(value)
    except TypeError:
        several = [value]
    return [check_size(size, name) for size in several]
