"""torch-ans 0.4.0 on a GPU: push and pop with one of its look-ups."""

from __future__ import annotations

import torch

from cuda_events import event_seconds
from cuda_workload import load_workload, split_variant
from torch_ans import _C, utils

_BYTES = 7  # of a symbol, more than it asks for with escapes


class Case:
    """A workload there: int32, an index per symbol. `lookup`: search or invcdf."""

    def __init__(
        self, path: str, variant: str, rows: int, dtype: str, precision: int, lookup: str
    ) -> None:
        family, lanes = split_variant(variant)
        if family.startswith("tans") and lookup != "search":
            raise ValueError(f"there is no {lookup} with tANS")
        work = load_workload(path, variant, rows, "int32", precision)
        self.symbols, self._indexes = work.symbols, work.indexes
        cdfs, sizes, offsets = work.tables
        encoder_cdfs, decoder_cdfs, more = cdfs, cdfs, -1
        if family.startswith("tans"):
            built = _C.tans_build_tables(cdfs.cpu(), sizes.cpu(), work.precision)
            encoder_cdfs = decoder_cdfs = built.cuda()
        elif lookup == "invcdf":
            more = work.precision
            decoder_cdfs = utils.build_cdf_with_inverse_table(
                cdfs, freq_precision=work.precision, table_precision=more
            )
        suffix = f"_i{lanes}" if lanes > 1 else ""
        self._push = getattr(_C, f"{family}{suffix}_push")
        tail = "_invcdf_pop" if lookup == "invcdf" else "_pop"
        self._pop = getattr(_C, f"{family}{suffix}{tail}")
        coding = (8, work.precision, work.bypass, 4)
        self._encoder_arguments = (encoder_cdfs, sizes, offsets, *coding)
        self._decoder_arguments = (decoder_cdfs, sizes, offsets, *coding, more)
        init = getattr(_C, f"{family}_init_stream")
        rows, length = work.symbols.shape
        self._stream = init(rows, lanes, _BYTES * length + 4096).cuda()
        header = init(1, lanes).size(1)
        self._fresh = self._stream[:, :header].clone()
        self.push()
        self._full = self._stream[:, :header].clone()
        self.bits = 8 * float(self._full[:, 0].double().sum()) / work.symbols.numel()
        if not torch.equal(self.pop().to(torch.int32), work.symbols):
            raise AssertionError("the symbols do not come back")

    def push(self) -> None:
        # That 0 bytes are in use says that there is room: it need not look.
        self._push(self._stream, self.symbols, self._indexes, *self._encoder_arguments, 0)

    def pop(self) -> torch.Tensor:
        symbols: torch.Tensor = self._pop(self._stream, self._indexes, *self._decoder_arguments)
        return symbols

    def seconds(self, direction: str) -> float:
        """One turn; negative where this contender has no such direction."""
        if direction not in ("push", "pop"):
            return -1.0
        header = self._fresh if direction == "push" else self._full
        self._stream[:, : header.size(1)] = header
        return event_seconds(self.push if direction == "push" else self.pop)
