"""The exceptions that are this project's own.

Arguments that are wrong raise what a Python user expects: `TypeError` for a wrong type or dtype,
`ValueError` for a wrong value or shape, `IndexError` for an index that names no table. What is left
is a stream that cannot be what an encoder wrote, and a file that was made with other tables.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple

__all__ = ["CorruptStreamError", "TableMismatchError", "TorchANSError"]


class TorchANSError(Exception):
    """Base class of the errors that only this project raises."""


class CorruptStreamError(TorchANSError, ValueError):
    """A stream holds bytes that no encoder wrote with these tables.

    Attributes:
        rows: the rows (of the batch) that are known to be broken, ascending. The others decoded
            without contradiction, which a flipped bit does not always spoil.

    Example:
        >>> error = CorruptStreamError("2 of 8 rows are broken", [3, 5])
        >>> error.rows
        [3, 5]
    """

    def __init__(self, message: str, rows: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.rows: List[int] = list(rows)

    def __reduce__(self) -> Tuple[type, Tuple[str, List[int]]]:
        """Keeps `rows` when a worker process sends the exception home."""
        return type(self), (str(self), self.rows)


class TableMismatchError(TorchANSError, ValueError):
    """A packed file was coded with other tables than those it is to be decoded with."""
