"""CompressAI with `torch_ans.compat.compressai.install()` beside CompressAI as it is, one thread.

    python benchmarks/bench_compressai.py          # make bench-compressai

Everything runs in one process, in strict turns, with the package compressai 1.2.8. What is timed is
`compress` and `decompress` of its entropy models, for the latents of a 768 x 512 image of a mean
and scale hyperprior (192 and 128 channels, tables from `update()`, latents drawn at random), and
the coder's own calls on short messages. Strings and decoded tensors are compared first. Times are
CPU times of the one thread, so other processes count only by what they do to the caches.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import torch
from tqdm import tqdm

import report
from packages import COMPRESSAI, install_packages
from timing import alternate, ratio
from torch_ans import CodingTables, cpu_capabilities
from torch_ans.compat import compressai as drop_in

HERE = Path(__file__).resolve().parent
THEIRS, OURS = "compressai 1.2.8", "this project"
IMAGES = 5  # coded one behind the other in each turn
Work = Callable[[], Any]


def load_compressai() -> None:
    """Puts the package on the path, with stand-ins for what its entropy models do not need."""
    sys.path += [str(install_packages("compressai", *COMPRESSAI)), str(HERE.parent / "tests")]
    import compressai_stubs

    compressai_stubs.install()


class Image:
    """Latents of one image at about 0.5 bits a pixel, and the entropy models that code them."""

    title = "hyperprior image of 768 x 512, install()"

    def __init__(self) -> None:
        from compressai.models import MeanScaleHyperprior

        torch.manual_seed(0)
        model = MeanScaleHyperprior(128, 192).eval()
        model.update(force=True)
        self.conditional, self.bottleneck = model.gaussian_conditional, model.entropy_bottleneck
        scales = torch.exp(1.2 * torch.randn(1, 192, 32, 48) - 2)
        self.means = torch.randn(1, 192, 32, 48)
        self.y = self.means + scales * torch.randn(1, 192, 32, 48)
        self.z = 3 * torch.randn(1, 128, 8, 12)
        self.indexes = self.conditional.build_indexes(scales)
        self.size = self.y.numel() + self.z.numel()
        self.strings: List[bytes] = self.encode()

    def encode(self) -> Any:
        strings = self.conditional.compress(self.y, self.indexes, means=self.means)
        return strings + self.bottleneck.compress(self.z)

    def decode(self) -> Any:
        y_hat = self.conditional.decompress(self.strings[:1], self.indexes, means=self.means)
        return [y_hat, self.bottleneck.decompress(self.strings[1:], (8, 12))]

    @property
    def bits(self) -> float:
        return 8 * sum(map(len, self.strings)) / self.size

    def sides(self, direction: str) -> Dict[str, Work]:
        work = getattr(self, direction)

        def plain() -> Any:
            work()  # what the other side has left in the caches does not count
            start = time.thread_time()
            for _ in range(IMAGES):
                result = work()
            return result, (time.thread_time() - start) / IMAGES

        def installed() -> Any:
            with drop_in.install():
                return plain()

        return {OURS: installed, THEIRS: plain}


class Messages:
    """Messages of `length` symbols of 64 Gaussian tables (W5), as lists, a call each."""

    def __init__(self, length: int, count: int, prepared: bool) -> None:
        from workloads import small_messages

        arrays = small_messages(length, count).arrays
        tables = [torch.from_numpy(arrays[k]) for k in ("cdfs16", "cdfs_sizes", "offsets")]
        sizes = arrays["cdfs_sizes"].tolist()
        rows = [row[:size].tolist() for row, size in zip(arrays["cdfs16"], sizes)]
        self.lists = (rows, sizes, arrays["offsets"].tolist())
        self.ours = (CodingTables(*tables),) if prepared else self.lists
        symbols, indexes = (arrays[k].tolist() for k in ("symbols", "indexes"))
        starts = range(0, length * count, length)
        self.messages = [(symbols[k : k + length], indexes[k : k + length]) for k in starts]
        self.size = length * count
        kind = "CodingTables" if prepared else "lists"
        self.title = f"messages of {length} symbols, tables as {kind}"
        self.strings: List[bytes] = self.sides("encode")[THEIRS]()[0]

    @property
    def bits(self) -> float:
        return 8 * sum(map(len, self.strings)) / self.size

    def sides(self, direction: str) -> Dict[str, Work]:
        from compressai import ans

        def run(module: Any, tables: Any) -> Any:
            encode = module.RansEncoder().encode_with_indexes
            decode = module.RansDecoder().decode_with_indexes
            start = time.thread_time()
            if direction == "encode":
                result = [encode(*message, *tables) for message in self.messages]
            else:
                pairs = zip(self.strings, self.messages)
                result = [decode(string, message[1], *tables) for string, message in pairs]
            return result, time.thread_time() - start

        return {
            OURS: lambda: run(drop_in, self.ours),
            THEIRS: lambda: run(ans, self.lists),
        }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def measure(case: Any, turns: int, aim: Any, progress: Any) -> report.Result:
    measured = [report.Measured(group, "", {}, case.bits) for group in (OURS, THEIRS)]
    ratios = {}
    for direction in report.DIRECTIONS:
        progress.set_description(f"{case.title}: {direction}"[:60])
        sides = case.sides(direction)
        if not same(sides[OURS]()[0], sides[THEIRS]()[0]):
            raise AssertionError(f"{case.title}: {direction} differs")
        runs = {name: (lambda work=work: work()[1]) for name, work in sides.items()}
        found = alternate(runs, turns, progress.update)
        for entry in measured:
            timing = found[entry.group]
            entry.seconds[direction] = list(timing.seconds)
            entry.msym[direction] = case.size / timing.median / 1e6
            entry.spread[direction] = timing.spread
        ratios[direction] = ratio(found[OURS], found[THEIRS])
    result = report.Ratio(THEIRS, ratios["encode"], ratios["decode"], aim)
    progress.write(f"{case.title}: encode {result.encode:.1f} x, decode {result.decode:.1f} x")
    return report.Result(case.title, "", case.size, case.bits, case.bits, measured, [result])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15, help="turns per contender")
    parser.add_argument(
        "--output", type=Path, default=HERE / "results" / "compressai", help="without a suffix"
    )
    options = parser.parse_args()
    load_compressai()
    torch.set_num_threads(1)
    with torch.no_grad():
        cases: List[Any] = [
            (Image(), (15.0, 15.0)),
            (Messages(16, 1024, True), (100.0, 100.0)),
            (Messages(16, 1024, False), None),
            (Messages(4096, 16, False), None),
        ]
        with tqdm(total=4 * len(cases) * (options.turns + 1), unit="run") as progress:
            results = [measure(case, options.turns, aim, progress) for case, aim in cases]
    machine = report.describe_machine(dict(cpu_capabilities()))
    today = datetime.date.today().isoformat()
    run = {"profile": "CompressAI", "turns": options.turns, "date": today}
    report.write_json(options.output.with_suffix(".json"), machine, run, results)
    options.output.with_suffix(".md").write_text(report.markdown(machine, run, results))


if __name__ == "__main__":
    main()
