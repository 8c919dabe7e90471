"""Names of coders: a family, lanes, and how symbols are found."""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn, Optional, Tuple, Union

from . import _core
from ._numbers import check_int

__all__ = ["Variant", "is_tans", "parse_variant", "resolve_variant"]

_ALIASES = {"rans_byte": "rans32"}
"""Names that torch-ans also takes."""


def is_tans(family: str) -> bool:
    """Whether a family codes by tables (tANS): it has one lookup and no alias method."""
    return family.startswith("tans")


class Variant(NamedTuple):
    """What the name of a coder says. None where it says nothing."""

    family: str
    lanes: Optional[int]
    alias: bool
    invcdf: bool


def parse_variant(impl: object) -> Variant:
    """Takes a name such as `rans64`, `rans64_i4`, `rans32_16_alias` or `rans32_i8_invcdf` apart.

    The parts behind the family may be in any order.

    Raises:
        TypeError: `impl` is no string.
        ValueError: there is no such coder; the message lists those that exist.

    Example:
        >>> parse_variant("rans32_16_i8_invcdf")
        Variant(family='rans32_16', lanes=8, alias=False, invcdf=True)
    """
    if not isinstance(impl, str):
        raise TypeError(f"impl must be a str, got {type(impl).__name__}")
    names = [*_core.FAMILIES, *_ALIASES]
    matches = [name for name in names if impl == name or impl.startswith(name + "_")]
    if not matches:
        _unknown(impl)
    family = max(matches, key=len)
    parts = impl[len(family) + 1 :].split("_") if impl != family else []
    lanes: Optional[int] = None
    for part in parts:
        digits = re.fullmatch(r"i(\d{1,3})", part)
        if digits and lanes is None and int(digits.group(1)) in _core.LANES:
            lanes = int(digits.group(1))
        elif part not in ("alias", "invcdf") or parts.count(part) > 1:
            _unknown(impl)
    if "alias" in parts and "invcdf" in parts:
        _unknown(impl)
    if is_tans(family) and len(parts) > (lanes is not None):
        _unknown(impl)
    return Variant(_ALIASES.get(family, family), lanes, "alias" in parts, "invcdf" in parts)


def resolve_variant(
    impl: str,
    num_interleaves: int,
    alias_sampling: bool,
    inverse_cdf_precision: Union[int, str, None],
) -> Tuple[str, int, bool]:
    """The family, lanes and alias that a name and the options beside it mean together.

    Raises:
        TypeError: an option has the wrong type.
        ValueError: they contradict each other, or there is no such coder.
    """
    variant = parse_variant(impl)
    lanes = variant.lanes
    num_interleaves = check_int(num_interleaves, "num_interleaves")
    if lanes is not None and num_interleaves not in (1, lanes):
        raise ValueError(
            f"impl {impl!r} has {lanes} lanes, but num_interleaves is {num_interleaves}"
        )
    if lanes is None:
        lanes = num_interleaves
    if lanes not in _core.LANES:
        raise ValueError(f"num_interleaves must be one of {_core.LANES}, got {num_interleaves!r}")
    alias = variant.alias or alias_sampling
    if is_tans(variant.family) and (alias or inverse_cdf_precision is not None):
        raise ValueError(
            f"the table of {variant.family} is its lookup: alias_sampling must be False and "
            "inverse_cdf_precision None"
        )
    if alias and (variant.invcdf or inverse_cdf_precision is not None):
        raise ValueError(
            "alias sampling has a lookup of its own: choose either alias (alias_sampling) or an "
            "inverse CDF (invcdf, inverse_cdf_precision)"
        )
    return variant.family, lanes, alias


def _unknown(impl: str) -> NoReturn:
    lanes = ", ".join(f"_i{lanes}" for lanes in _core.LANES if lanes > 1)
    raise ValueError(
        f"unknown impl {impl!r}; expected a family ({', '.join(_core.FAMILIES)}), optionally with "
        f"lanes ({lanes}; none for 1) and, for rans, one of the lookups _alias, _invcdf: for "
        "example 'rans64_i4' or 'rans32_16_i8_invcdf'"
    )
