"""Times on a GPU, by CUDA events on the current stream."""

from __future__ import annotations

import statistics
from typing import Callable

import torch

BUSY_CYCLES = 10_000_000  # 5 ms of an H200


def event_seconds(body: Callable[[], object]) -> float:
    """Time on the device, which is busy until Python has launched all of `body`."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(BUSY_CYCLES)
    start.record()
    body()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3


def copy_bandwidth() -> float:
    """Bytes read and written per second by a large copy on the device."""
    source = torch.randint(0, 255, (1 << 30,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    times = [event_seconds(lambda: target.copy_(source)) for _ in range(12)]
    return 2 * source.numel() / statistics.median(times[2:])
