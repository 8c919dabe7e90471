"""Tables that follow the symbols: the table of a symbol depends on the symbols before it.

Finite-state autoregressive coding (Zhang et al., "Finite-State Autoregressive Entropy Coding for
Efficient Learned Lossless Compression", ICLR 2024).
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import torch

from . import _core, _native, _native_tables
from ._layout import Split
from ._table_cache import TensorCache, identity_of
from .tables import CodingTables

__all__ = [
    "ArOffsets",
    "ContextCall",
    "Contexts",
    "bind_contexts",
    "call_contexts",
    "flatten_offsets",
    "make_contexts",
]

ArOffsets = Union[int, Sequence[Union[int, Sequence[int]]], torch.Tensor]
"""For each context, how far before a symbol it lies: flat, or a step in each dimension."""

_MAX_ORDER = 3


class Contexts(NamedTuple):
    """Checked `ar_tables`, int32 (A, K, C_1, .., C_order), and their offsets."""

    tables: torch.Tensor
    offsets: Tuple[Tuple[int, ...], ...]
    largest: int
    copies: Dict[torch.device, torch.Tensor]

    def tables_on(self, device: torch.device) -> torch.Tensor:
        """The tables in the memory of a device, copied on first use."""
        if device.type == "cpu":
            return self.tables
        if device not in self.copies:
            self.copies[device] = self.tables.to(device)
        return self.copies[device]

    @property
    def num_indexes(self) -> int:
        """K: an index is below this."""
        return self.tables.shape[1]

    def replace_offsets(self, ar_offsets: Optional[ArOffsets]) -> Contexts:
        """These tables with other offsets, unless they are None."""
        if ar_offsets is None:
            return self
        return self._replace(offsets=_parse_offsets(ar_offsets, self.tables.dim() - 2))


class ContextCall(NamedTuple):
    """Contexts, and which of their sets each symbol uses (None: the first)."""

    contexts: Contexts
    ar_indexes: Optional[torch.Tensor]


class BoundContexts(NamedTuple):
    """What the native module takes, and the tensors that own its memory."""

    native: _core.Contexts
    owners: Tuple[Any, ...]
    num_indexes: int
    num_sets: int
    ar_indexes: Optional[torch.Tensor]

    def check_sets(self) -> None:
        """Raises IndexError where an entry of `ar_indexes` names no set (and waits for a GPU)."""
        chosen = self.ar_indexes
        if chosen is None or not chosen.numel():
            return
        if chosen.element_size() == 2:
            chosen = chosen.to(torch.int32)  # as above
        if not 0 <= int(chosen.min()) <= int(chosen.max()) < self.num_sets:
            raise IndexError(f"ar_indexes must name one of the {self.num_sets} sets of ar_tables")


def make_contexts(ar_tables: torch.Tensor, ar_offsets: ArOffsets) -> Contexts:
    """Checks what `init_ar_params` was given.

    Raises:
        TypeError: `ar_tables` is no integer tensor, or `ar_offsets` are no integers.
        ValueError: a shape or value is impossible.
    """
    tensor = _native.check_integers(ar_tables, "ar_tables", cuda=True)
    if not 3 <= tensor.dim() <= 2 + _MAX_ORDER or not tensor.numel():
        raise ValueError(
            "ar_tables must have shape (sets, indexes, contexts), with up to 3 dimensions of "
            f"contexts and none of them empty, got shape {tuple(tensor.shape)}"
        )
    wide = tensor.to(torch.int64)  # torch finds no least uint16
    low, high = int(wide.min()), int(wide.max())
    if low < 0 or high >= 2**31:
        raise ValueError(f"ar_tables must name tables from 0 on, got {low if low < 0 else high}")
    tables = tensor.to("cpu", torch.int32, copy=True).contiguous()
    return Contexts(tables, _parse_offsets(ar_offsets, tensor.dim() - 2), high, {})


def call_contexts(
    ar_tables: Optional[torch.Tensor],
    ar_offsets: Optional[ArOffsets],
    ar_indexes: Optional[torch.Tensor],
) -> Optional[ContextCall]:
    """What the arguments of a low-level call mean; None without `ar_tables`."""
    if ar_tables is None:
        if ar_offsets is not None or ar_indexes is not None:
            raise ValueError("ar_offsets and ar_indexes must be None where ar_tables are")
        return None
    if ar_offsets is None:
        raise ValueError("ar_offsets must be given with ar_tables, got None")
    return ContextCall(_known_contexts(ar_tables, ar_offsets), ar_indexes)


_cache: TensorCache[Contexts] = TensorCache()


def _known_contexts(ar_tables: torch.Tensor, ar_offsets: ArOffsets) -> Contexts:
    """`make_contexts`, which waits for a CUDA tensor, from the cache if it has not changed."""
    key = identity_of([ar_tables])
    known = _cache.find(key) if key else None
    if known is not None:
        return known.replace_offsets(ar_offsets)
    contexts = make_contexts(ar_tables, ar_offsets)
    if key:
        _cache.keep(key, contexts, [ar_tables])
    return contexts


def bind_contexts(
    call: Optional[ContextCall],
    codec: _core.Codec,
    tables: CodingTables,
    shape: Sequence[int],
    split: Split,
    device: torch.device,
) -> Optional[BoundContexts]:
    """Contexts for one call, whose symbols have this shape and fall into these rows.

    Raises:
        IndexError: an entry of `ar_indexes` names no set. (On a CUDA device the call tells.)
        TypeError: `ar_indexes` is no integer tensor.
        ValueError: `ar_tables` name more tables than there are, or an offset is impossible.
    """
    if call is None:
        return None
    contexts, ar_indexes = call
    if contexts.largest >= tables.num_tables:
        raise ValueError(
            f"ar_tables must name one of the {tables.num_tables} tables, got {contexts.largest}"
        )
    chosen = operand = None
    if ar_indexes is not None:
        chosen = _native.check_integers(ar_indexes, "ar_indexes", cuda=True)
        if chosen.device != device:
            raise ValueError(
                f"ar_indexes must be on the device of the symbols, {device}, got {chosen.device}"
            )
        try:
            chosen = chosen.expand(torch.Size(shape))
        except RuntimeError:
            raise ValueError(
                f"ar_indexes of shape {tuple(chosen.shape)} do not broadcast to the symbols' shape "
                f"{tuple(shape)}"
            ) from None
        operand = _native.read_operand(chosen, split)
    offsets = _flat_offsets(contexts.offsets, shape, codec.lanes)
    reachable = [min(offset, max(split.row_length, 1)) for offset in offsets]
    memory = contexts.tables_on(device)
    native = _native_tables.bind_contexts(memory, reachable, operand)
    sets = contexts.tables.shape[0]
    bound = BoundContexts(native, (memory, operand), contexts.num_indexes, sets, chosen)
    if device.type == "cpu":
        bound.check_sets()
    return bound


def _parse_offsets(value: ArOffsets, order: int) -> Tuple[Tuple[int, ...], ...]:
    given: Any = value.tolist() if isinstance(value, torch.Tensor) else value
    entries = [given] if isinstance(given, int) else given
    try:
        parsed = [(e,) if isinstance(e, int) else tuple(e) for e in entries]
        good = all(isinstance(step, int) for steps in parsed for step in steps)
    except TypeError:
        good = False
    if not good:
        raise TypeError(f"ar_offsets must be integers, or a step in each dimension, got {value!r}")
    if len(parsed) != order or not all(parsed):
        raise ValueError(
            f"ar_offsets must have one entry for each of the {order} contexts of ar_tables, got "
            f"{value!r}"
        )
    return tuple(parsed)


def flatten_offsets(
    ar_offsets: ArOffsets, order: int, shape: Sequence[int]
) -> Tuple[Tuple[Tuple[int, ...], ...], List[int]]:
    """The offsets of `order` contexts as they were given, and in symbols of this shape."""
    parsed = _parse_offsets(ar_offsets, order)
    return parsed, _flat_offsets(parsed, shape, 1)


def _flat_offsets(
    offsets: Tuple[Tuple[int, ...], ...], shape: Sequence[int], lanes: int
) -> List[int]:
    return [_flat_offset(steps, shape, lanes, k) for k, steps in enumerate(offsets)]


def _flat_offset(steps: Tuple[int, ...], shape: Sequence[int], lanes: int, k: int) -> int:
    """How many symbols back `steps` lead, in row-major order; the last step is in the last dim."""
    name = f"ar_offsets[{k}]"
    if len(steps) > max(len(shape), 1):
        raise ValueError(
            f"{name} must have at most one step for each dimension of the symbols' shape "
            f"{tuple(shape)}, got {steps}"
        )
    offset, stride = 0, 1
    for position, step in enumerate(reversed(steps)):
        offset += step * stride
        stride *= shape[len(shape) - 1 - position] if shape else 1
    if offset < 1:
        raise ValueError(f"{name} must lead to an earlier symbol, got {steps}: {offset} back")
    if offset < lanes:
        raise ValueError(
            f"{name} must reach back at least as far as there are lanes ({lanes}), because lanes "
            f"are coded together; got {steps}: {offset} back"
        )
    return offset


def index_limit(tables: CodingTables, call: Optional[ContextCall]) -> int:
    """An index is below this."""
    return tables.num_tables if call is None else call.contexts.num_indexes
