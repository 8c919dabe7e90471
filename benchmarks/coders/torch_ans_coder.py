"""torch_ans, this project's and the one on PyPI: both have the same API.

Options: variant ("rans64_i4", "rans32_16", "tans32", ...), lookup ("search", "alias", "invcdf"),
rows, precision, bypass, threads; api "raw" (push and pop on a stream tensor), "bytes"
(TorchANSInterface), "messages" (compat.compressai), "freqs" (a distribution per symbol), "cdfs"
(the same, float CDFs, with a format) or "gaussians"; dtype of the symbols and indexes;
reuse_output (pop into the same buffer again); no_indexes; follow (tables follow from symbols).
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Dict, Tuple

import numpy as np
import torch

from coders.messages import MessageCoder
from torch_ans import _C, utils

Arrays = Dict[str, np.ndarray]
AR_ARGUMENTS = ("ar_tables", "ar_offsets")


def split_variant(variant: str) -> Tuple[str, int]:
    family, lanes = re.fullmatch(r"(\w+?)(?:_i(\d+))?", variant).groups()  # type: ignore[union-attr]
    return family, int(lanes or 1)


class Raw:
    """Push and pop on one stream tensor that is kept, so that no run pays for fresh memory."""

    def __init__(self, arrays: Arrays, options: Dict[str, Any]) -> None:
        family, lanes = split_variant(options["variant"])
        self.threads = options.get("threads", 1)
        rows, precision = options["rows"], options["precision"]
        lookup = options.get("lookup", "search")
        suffix = f"_i{lanes}" if lanes > 1 else ""
        alias = "_alias" if lookup == "alias" else ""
        self.push = getattr(_C, f"{family}{alias}{suffix}_push")
        self.pop = getattr(
            _C,
            f"{family}{suffix}_invcdf_pop"
            if lookup == "invcdf"
            else f"{family}{alias}{suffix}_pop",
        )
        dtype = getattr(torch, options.get("dtype", "int32"))
        whole = arrays["symbols"].size // rows * rows  # what no row is short of

        def shaped(name: str) -> torch.Tensor:
            return torch.from_numpy(arrays[name][:whole]).to(dtype).reshape(rows, -1)

        self.symbols = shaped("symbols")
        follow = bool(options.get("follow"))
        self.indexes = None if follow or options.get("no_indexes") else shaped("indexes")
        sizes, offsets = torch.from_numpy(arrays["cdfs_sizes"]), torch.from_numpy(arrays["offsets"])
        cdfs = torch.from_numpy(arrays[f"cdfs{precision}"])
        encoder_cdfs, decoder_cdfs, extra = cdfs, cdfs, {}
        if lookup == "alias":
            bits = (cdfs.size(1) - 1).bit_length() - 1
            encoder_cdfs, decoder_cdfs = _C.rans_alias_build_table(
                cdfs, sizes, symbol_precision=bits, freq_precision=precision
            )
        elif lookup == "invcdf":
            decoder_cdfs = utils.build_cdf_with_inverse_table(
                cdfs, freq_precision=precision, table_precision=precision
            )
            extra = {"inverse_cdf_precision": precision}
        elif family.startswith("tans"):
            encoder_cdfs = decoder_cdfs = _C.tans_build_tables(cdfs, sizes, precision)
        coding: Dict[str, Any] = {
            "freq_precision": precision,
            "bypass_coding": options["bypass"],
            "bypass_precision": 4,
        }
        self.encoder_arguments = (encoder_cdfs, sizes, offsets)
        self.decoder_arguments = (decoder_cdfs, sizes, offsets)
        if follow:
            coding.update((name, torch.from_numpy(arrays[name])) for name in AR_ARGUMENTS)
        self.encoder_options: Dict[str, Any] = coding
        self.decoder_options: Dict[str, Any] = {**coding, **extra}
        if options.get("reuse_output") or self.indexes is None:
            self.decoder_options["out"] = torch.empty_like(self.symbols)
        self.stream = getattr(_C, f"{family}_init_stream")(rows, lanes)
        self.fresh, self.full = self.stream.clone(), self.stream.clone()

    def encode(self) -> None:
        self.push(
            self.stream, self.symbols, self.indexes, *self.encoder_arguments, **self.encoder_options
        )

    def decode(self) -> None:
        self.decoded = self.pop(
            self.stream, self.indexes, *self.decoder_arguments, **self.decoder_options
        )

    def reset(self, direction: str) -> None:
        """Only the length and the states change when a stream is popped; the words stay."""
        torch.set_num_threads(self.threads)
        self.decoded = None
        header = self.fresh if direction == "encode" else self.full
        self.stream[:, : header.size(1)] = header

    def check(self) -> Dict[str, Any]:
        self.reset("encode")
        self.encode()
        self.full = self.stream[:, : self.fresh.size(1)].clone()
        data = _C.rans_stream_to_byte_strings(self.stream)
        self.decode()
        if not torch.equal(self.decoded.to(self.symbols.dtype), self.symbols):
            raise AssertionError("the decoded symbols differ")
        number = self.symbols.numel()
        digest = hashlib.sha256(b"".join(data)).hexdigest()
        return {"bits": 8 * sum(map(len, data)) / number, "digest": digest, "symbols": number}


class Bytes(MessageCoder):
    """TorchANSInterface, from tensors to bytes and back."""

    def __init__(self, arrays: Arrays, options: Dict[str, Any]) -> None:
        super().__init__(arrays)
        self.threads = options.get("threads", 1)
        family, lanes = split_variant(options["variant"])
        self.coder = utils.TorchANSInterface(
            impl=family,
            num_interleaves=lanes,
            num_parallel_states=options["rows"],
            freq_precision=options["precision"],
            bypass_coding=options["bypass"],
            bypass_precision=4,
            **options.get("interface", {}),
        )
        tables = (arrays[f"cdfs{options['precision']}"], arrays["cdfs_sizes"], arrays["offsets"])
        self.coder.set_cdfs(*map(torch.from_numpy, tables))
        dtype = getattr(torch, options.get("dtype", "int32"))
        symbols, indexes = (
            torch.from_numpy(arrays[name]).to(dtype) for name in ("symbols", "indexes")
        )
        self.tensors = [(symbols[piece], indexes[piece]) for piece in self.pieces]
        self.outputs = [{} for _ in self.pieces]
        if options.get("reuse_output"):
            self.outputs = [{"out": torch.empty_like(given)} for given, _ in self.tensors]

    def reset(self, direction: str) -> None:
        torch.set_num_threads(self.threads)
        super().reset(direction)

    def encode_message(self, k: int) -> bytes:
        coded = self.coder.encode_with_indexes(*self.tensors[k])
        assert coded is not None
        return coded

    def decode_message(self, k: int, coded: bytes) -> torch.Tensor:
        return self.coder.decode_with_indexes(coded, self.tensors[k][1], **self.outputs[k])


class Messages(MessageCoder):
    """CompressAI's coder as a drop-in: lists of symbols, and tables prepared once."""

    def __init__(self, arrays: Arrays, options: Dict[str, Any]) -> None:
        super().__init__(arrays)
        from torch_ans import CodingTables
        from torch_ans.compat import compressai

        torch.set_num_threads(options.get("threads", 1))
        tables = (arrays["cdfs16"], arrays["cdfs_sizes"], arrays["offsets"])
        self.tables = CodingTables(*map(torch.from_numpy, tables))
        self.encoder, self.decoder = compressai.RansEncoder(), compressai.RansDecoder()
        symbols, indexes = arrays["symbols"].tolist(), arrays["indexes"].tolist()
        self.lists = [(symbols[piece], indexes[piece]) for piece in self.pieces]

    def encode_message(self, k: int) -> bytes:
        return self.encoder.encode_with_indexes(*self.lists[k], self.tables)

    def decode_message(self, k: int, coded: bytes) -> Any:
        return self.decoder.decode_with_indexes(coded, self.lists[k][1], self.tables)


class Freqs(MessageCoder):
    """A distribution per symbol: encode_with_freqs and decode_with_freqs."""

    def __init__(self, arrays: Arrays, options: Dict[str, Any]) -> None:
        super().__init__(arrays)
        torch.set_num_threads(1)
        self.coder = utils.TorchANSInterface(
            impl=options["variant"], num_parallel_states=1, bypass_coding=False
        )
        self.values = torch.from_numpy(arrays["symbols"]).to(torch.int32)
        freqs = torch.from_numpy(np.diff(arrays["cdf"], axis=1))
        levels = torch.full((len(freqs),), freqs.size(1), dtype=torch.int32)
        self.distributions = (freqs, levels, torch.zeros(len(freqs), dtype=torch.int32))

    def encode_message(self, k: int) -> bytes:
        coded = self.coder.encode_with_freqs(self.values, *self.distributions)
        assert coded is not None
        return coded

    def decode_message(self, k: int, coded: bytes) -> torch.Tensor:
        return self.coder.decode_with_freqs(coded, *self.distributions)


class Cdfs(MessageCoder):
    """A float CDF for each symbol, in rANS bytes or torchac's."""

    def __init__(self, arrays: Arrays, options: Dict[str, Any]) -> None:
        super().__init__(arrays)
        from torch_ans.compat import torchac

        torch.set_num_threads(options.get("threads", 1))
        self.coder, self.format = torchac, options["format"]
        self.cdf, self.values = torch.from_numpy(arrays["cdf"]), torch.from_numpy(arrays["symbols"])

    def encode_message(self, k: int) -> bytes:
        return bytes(self.coder.encode_float_cdf(self.cdf, self.values, format=self.format))

    def decode_message(self, k: int, coded: bytes) -> torch.Tensor:
        decoded: torch.Tensor = self.coder.decode_float_cdf(self.cdf, coded, format=self.format)
        return decoded


class Gaussians(MessageCoder):
    """A Gaussian for each symbol, on the alphabet that constriction is given."""

    def __init__(self, arrays: Arrays, options: Dict[str, Any]) -> None:
        super().__init__(arrays)
        import torch_ans

        torch.set_num_threads(options.get("threads", 1))
        self.coder, self.values = torch_ans, torch.from_numpy(arrays["symbols"])
        bound = int(-arrays["offsets"].min()) * 2
        scales = torch.from_numpy(arrays["scales"]).float()
        self.distributions = (torch.zeros_like(scales), scales, -bound, bound)

    def encode_message(self, k: int) -> bytes:
        coded: bytes = self.coder.encode_gaussian(self.values, *self.distributions)
        return coded

    def decode_message(self, k: int, coded: bytes) -> torch.Tensor:
        decoded: torch.Tensor = self.coder.decode_gaussian(coded, *self.distributions)
        return decoded


def make(arrays: Arrays, options: Dict[str, Any]) -> Any:
    apis: Dict[str, Any] = {"raw": Raw, "bytes": Bytes, "freqs": Freqs}
    apis.update(cdfs=Cdfs, gaussians=Gaussians, messages=Messages)
    return apis[options["api"]](arrays, options)


def describe() -> Dict[str, Any]:
    import torch_ans

    capabilities: Dict[str, Any] = torch_ans.cpu_capabilities()
    return capabilities
