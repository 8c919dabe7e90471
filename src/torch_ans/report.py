"""What the size of encoded data is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Tuple

__all__ = ["SizeReport"]


@dataclass(frozen=True)
class SizeReport:
    """Where the bytes of `TorchANSInterface.encode_with_indexes` go; `str` shows it as a table.

    They exceed what the tables promise by the lengths of the rows, by what empty states hold
    (`spare_bits` each), and by the room that is left in full ones, where the coder's own rounding
    (far below a thousandth) counts too. Fewer rows or lanes make them smaller.

    What the symbols cost by their tables cannot be told from the bytes alone: where nothing said
    what the symbols are, the attributes from `num_symbols` on are None.

    Attributes:
        rows: rows, each with states of its own.
        lanes: states of a row.
        length_bytes: the rows' lengths, all together.
        state_bytes: the states.
        word_bytes: the words that left the states.
        spare_bits: bits that a state holds before it takes any symbol: log2 of its lower bound.
        num_symbols: symbols.
        num_escapes: symbols outside their tables.
        table_bits: what symbols and escapes cost by their tables: the cross-entropy of the tables.
        bypass_bits: what the digits behind the escapes cost.

    Example:
        >>> import torch, torch_ans
        >>> coder = torch_ans.TorchANSInterface("rans64_i2", num_parallel_states=4)
        >>> coder.init_params(torch.tensor([[0.5, 0.25, 0.25]]))
        >>> symbols = torch.arange(4000) % 3
        >>> symbols[7] = 100
        >>> print(coder.report(coder.encode_symbols(symbols), symbols=symbols))
        908 bytes, 1.816 bits a symbol: 4000 symbols, 4 rows of 2 lanes
          lengths        12.0
          states         64.0
          words         832.0
        by the tables   836.5
          symbols       835.0
          bypass          1.5, 1 escape
        excess           71.5: lengths 12.0, empty states 31.0, room left in states 28.5
    """

    rows: int
    lanes: int
    length_bytes: int
    state_bytes: int
    word_bytes: int
    spare_bits: int
    num_symbols: Optional[int] = None
    num_escapes: Optional[int] = None
    table_bits: Optional[float] = None
    bypass_bits: Optional[float] = None

    @property
    def total_bytes(self) -> int:
        """All bytes."""
        return self.length_bytes + self.payload_bytes

    @property
    def payload_bytes(self) -> int:
        """States and words."""
        return self.state_bytes + self.word_bytes

    @property
    def estimated_bits(self) -> Optional[float]:
        """What `estimate_bits` sums up to."""
        if self.table_bits is None or self.bypass_bits is None:
            return None
        return self.table_bits + self.bypass_bits

    @property
    def excess_bytes(self) -> Optional[float]:
        """How much more there is than the estimate."""
        estimated = self.estimated_bits
        return None if estimated is None else self.total_bytes - estimated / 8

    @property
    def empty_state_bytes(self) -> float:
        """Of the states, what they hold before they take any symbol."""
        return self.rows * self.lanes * self.spare_bits / 8

    def __str__(self) -> str:
        lines: List[Tuple[str, float, str]] = [
            ("  lengths", self.length_bytes, ""),
            ("  states", self.state_bytes, ""),
            ("  words", self.word_bytes, ""),
        ]
        shape = f"{self.rows} {_plural('row', self.rows)} of {self.lanes} "
        shape += _plural("lane", self.lanes)
        excess = self.excess_bytes
        if excess is None or self.num_symbols is None:
            title = f"{self.total_bytes} bytes: {shape}"
        else:
            each = 8 * self.total_bytes / max(self.num_symbols, 1)
            title = f"{self.total_bytes} bytes, {each:.3f} bits a symbol: {self.num_symbols} "
            title += f"{_plural('symbol', self.num_symbols)}, {shape}"
            table, bypass = (self.table_bits or 0.0) / 8, (self.bypass_bits or 0.0) / 8
            escapes = self.num_escapes or 0
            room = excess - self.length_bytes - self.empty_state_bytes
            parts = f": lengths {self.length_bytes:.1f}, empty states {self.empty_state_bytes:.1f}"
            lines += [
                ("by the tables", table + bypass, ""),
                ("  symbols", table, ""),
                ("  bypass", bypass, f", {escapes} {_plural('escape', escapes)}"),
                ("excess", excess, f"{parts}, room left in states {room:.1f}"),
            ]
        width = max(8, len(str(self.total_bytes)) + 3)
        table_lines = [f"{name:<13}{size:>{width}.1f}{note}" for name, size, note in lines]
        return "\n".join([title, *table_lines])


def _plural(word: str, count: int) -> str:
    return word if count == 1 else word + "s"
