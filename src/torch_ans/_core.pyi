"""Types of the native module. Addresses are plain integers, strides count elements."""

from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, TypedDict, Union

import numpy as np

_Bytes = Union[bytes, bytearray, memoryview]
_Array = np.ndarray[Any, Any]
_Integers = Union[IntArray, Sequence[int], _Array]
# family, lanes, freq_precision, bypass_precision (0: none), alias, dtype, tables' hash, shape
_PackedFields = Tuple[str, int, int, int, bool, str, bytes, List[int]]

__version__: str
__compiler__: str
LANES: Tuple[int, ...]
FAMILIES: Dict[str, Family]

OK: int
BAD_INDEX: int
BAD_SYMBOL: int
NO_SPACE: int
CORRUPT: int

class Capabilities(TypedDict):
    isa: str
    available: List[str]
    forced: bool
    openmp: bool

class Family:
    @property
    def name(self) -> str: ...
    @property
    def state_bytes(self) -> int: ...
    @property
    def word_bytes(self) -> int: ...
    @property
    def lower_bound(self) -> int: ...
    @property
    def max_freq_precision(self) -> int: ...

class Codec:
    def __init__(self, family: str, lanes: int) -> None: ...
    @property
    def family(self) -> str: ...
    @property
    def lanes(self) -> int: ...
    @property
    def state_bytes(self) -> int: ...
    @property
    def word_bytes(self) -> int: ...
    @property
    def lower_bound(self) -> int: ...
    @property
    def max_freq_precision(self) -> int: ...
    @property
    def header_bytes(self) -> int: ...

class IntArray:
    def __init__(
        self,
        data: int,
        dtype: str,
        row_stride: int,
        outer_stride: int,
        inner_stride: int,
        inner_size: int,
    ) -> None: ...

class Latents:
    def __init__(self, values: int, means: int) -> None: ...

class CodingTables:
    def __init__(
        self,
        cdfs: int,
        num_tables: int,
        width: int,
        cdfs_sizes: int,
        offsets: int,
        freq_precision: int,
        bypass_coding: bool,
        alias: bool,
        inverse_cdf_precision: int,
    ) -> None: ...
    @property
    def num_tables(self) -> int: ...
    @property
    def freq_precision(self) -> int: ...
    @property
    def bypass_coding(self) -> bool: ...
    @property
    def alias(self) -> bool: ...
    @property
    def nbytes(self) -> int: ...
    def numbers(self) -> bytes: ...

class Contexts:
    def __init__(
        self, tables: int, shape: List[int], offsets: List[int], sets: Optional[IntArray]
    ) -> None: ...

def init_stream(codec: Codec, stream: int, rows: int, columns: int) -> None: ...
def encode(
    codec: Codec,
    tables: CodingTables,
    stream: int,
    rows: int,
    columns: int,
    symbols: IntArray,
    indexes: Optional[IntArray],
    row_length: int,
    total: int,
    bypass_precision: int,
    threads: int,
    contexts: Optional[Contexts] = ...,
) -> Tuple[int, int, int]: ...
def decode(
    codec: Codec,
    tables: CodingTables,
    stream: int,
    rows: int,
    columns: int,
    indexes: Optional[IntArray],
    out: IntArray,
    row_length: int,
    total: int,
    bypass_precision: int,
    threads: int,
    require_end: bool,
    contexts: Optional[Contexts] = ...,
) -> Tuple[int, int, int, List[int]]: ...

class IntList(Sequence[int]):
    def __init__(self, values: Sequence[int], name: str) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, i: int) -> int: ...  # type: ignore[override]

class MessageReader:
    def __init__(self, codec: Codec, messages: Sequence[_Bytes]) -> None: ...
    def decode(
        self,
        tables: CodingTables,
        indexes: Optional[_Integers],
        out: Union[IntArray, Latents, _Array, None],
        row_length: int,
        bypass_precision: int,
        threads: int,
    ) -> Union[List[int], Tuple[int, int, int, List[int]]]: ...

class TableLists:
    def __init__(
        self, cdfs: Sequence[Sequence[int]], cdfs_sizes: Sequence[int], offsets: Sequence[int]
    ) -> None: ...
    def holds(self, cdfs: object, cdfs_sizes: object, offsets: object) -> bool: ...
    def equals(self, other: TableLists) -> bool: ...
    @property
    def num_tables(self) -> int: ...
    @property
    def num_entries(self) -> int: ...
    @property
    def width(self) -> int: ...
    def fill(self, cdfs: int, cdfs_sizes: int, offsets: int) -> None: ...

def encode_message(
    codec: Codec,
    tables: CodingTables,
    symbols: _Integers,
    indexes: _Integers,
    bypass_precision: int,
) -> Union[bytes, Tuple[int, int]]: ...
def decode_message(
    codec: Codec,
    tables: CodingTables,
    message: _Bytes,
    indexes: _Integers,
    bypass_precision: int,
) -> Union[List[int], Tuple[int, int, int, List[int]]]: ...
def encode_messages(
    codec: Codec,
    parts: Sequence[Tuple[CodingTables, Union[_Integers, Latents], Optional[_Integers], int]],
    rows: int,
    bypass_precision: int,
    threads: int,
) -> Union[List[bytes], Tuple[int, int, int, int]]: ...
def encode_short_row(
    codec: Codec,
    tables: CodingTables,
    symbols: int,
    symbol_dtype: str,
    indexes: int,
    index_dtype: str,
    count: int,
    bypass_precision: int,
    length_bytes: int,
) -> Optional[bytes]: ...
def decode_short_row(
    codec: Codec,
    tables: CodingTables,
    data: _Bytes,
    indexes: int,
    index_dtype: str,
    out: int,
    out_dtype: str,
    count: int,
    bypass_precision: int,
    length_bytes: int,
) -> bool: ...
def max_row_bytes(codec: Codec, freq_precision: int, row_length: int) -> int: ...
def escape_bytes(
    codec: Codec,
    tables: CodingTables,
    symbols: IntArray,
    indexes: Optional[IntArray],
    rows: int,
    row_length: int,
    total: int,
    bypass_precision: int,
    contexts: Optional[Contexts] = ...,
) -> int: ...
def quantize_pmf(
    pmf: int, dtype: str, rows: int, length: int, lengths: int, freq_precision: int, out: int
) -> None: ...
def build_alias_table(
    cdfs: int,
    num_tables: int,
    width: int,
    cdfs_sizes: int,
    freq_precision: int,
    remap_out: int,
    remap_width: int,
    table_out: int,
    table_width: int,
) -> None: ...
def alias_widths(max_size: int, freq_precision: int) -> Tuple[int, int]: ...
def build_inverse_cdf(
    cdfs: int,
    num_tables: int,
    width: int,
    cdfs_sizes: int,
    freq_precision: int,
    table_precision: int,
    out: int,
    out_width: int,
) -> None: ...
def build_tans_tables(
    cdfs: int,
    num_tables: int,
    width: int,
    cdfs_sizes: int,
    table_log: int,
    out: int,
    out_width: int,
) -> None: ...
def pack_stream(
    stream: int, rows: int, columns: int, length_bytes: int, bare_last: bool, threads: int
) -> bytes: ...
def pack_stream_into(
    stream: int,
    rows: int,
    columns: int,
    length_bytes: int,
    bare_last: bool,
    threads: int,
    out: object,
) -> int: ...

class RowSpans:
    def __init__(self, pairs: Sequence[Tuple[int, int]]) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Tuple[int, int]]: ...
    @property
    def longest(self) -> int: ...
    def part(self, start: int, end: int) -> RowSpans: ...
    def clear(self, row: int) -> None: ...
    def write(self, target: int) -> None: ...

def row_lengths(data: _Bytes, length_bytes: int, rows: int, bare_last: bool) -> RowSpans: ...
def fill_stream(
    data: _Bytes, spans: RowSpans, stream: int, rows: int, columns: int, threads: int
) -> None: ...
def fill_row(data: _Bytes, row: int, columns: int) -> None: ...
def prefer_huge_pages(memory: int, size: int) -> None: ...
def check_room(out: object, size: int) -> None: ...
def make_bytes(source: int, size: int, threads: int) -> bytes: ...
def read_bytes(data: _Bytes, target: int, threads: int) -> None: ...
def write_bytes(data: object, out: object, threads: int) -> int: ...
def pack_container(fields: _PackedFields, data: _Bytes, spans: RowSpans) -> bytes: ...
def unpack_container(data: _Bytes) -> Tuple[_PackedFields, RowSpans, List[int], int]: ...
def crc32c(data: _Bytes) -> int: ...
def cpu_capabilities() -> Capabilities: ...

class Model:
    def __init__(
        self,
        kind: str,
        dtype: str,
        values: Sequence[int],
        strides: Sequence[int],
        low: int,
        num_symbols: int,
        freq_precision: int,
        leaks: bool,
        components: int,
    ) -> None: ...
    @property
    def low(self) -> int: ...
    @property
    def num_symbols(self) -> int: ...
    @property
    def freq_precision(self) -> int: ...

def find_logit_edges(model: Model, edges: int) -> None: ...
def encode_with_model(
    codec: Codec,
    model: Model,
    stream: int,
    rows: int,
    columns: int,
    symbols: IntArray,
    row_length: int,
    total: int,
    threads: int,
) -> Tuple[int, int, int]: ...
def decode_with_model(
    codec: Codec,
    model: Model,
    stream: int,
    rows: int,
    columns: int,
    out: IntArray,
    row_length: int,
    total: int,
    threads: int,
    require_end: bool,
) -> Tuple[int, int, int, List[int]]: ...
def encode_arithmetic(model: Model, symbols: IntArray, count: int) -> Tuple[int, bytes]: ...
def decode_arithmetic(model: Model, data: _Bytes, out: IntArray, count: int) -> int: ...
