"""What tests on a real GPU (marked `cuda`) share.

They are skipped without one, unless TORCH_ANS_REQUIRE_CUDA=1 promises one: then they fail.
"""

from __future__ import annotations

import os
from typing import Tuple

import pytest
import torch

from helpers import Tables, stream_rows
from torch_ans import _native

GPU = torch.device("cuda", 0)


def require_gpu() -> None:
    """Ends the test where there is none."""
    problem = _native.cuda_problem()
    if not problem and not torch.cuda.is_available():
        problem = "torch has no CUDA here"
    if problem and os.environ.get("TORCH_ANS_REQUIRE_CUDA") == "1":
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)


def on_gpu(tables: Tables) -> Tuple[torch.Tensor, ...]:
    return (tables.cdfs.to(GPU), tables.sizes.to(GPU), tables.offsets.to(GPU), *tables.args[3:])


def host_rows(stream: torch.Tensor) -> list:
    return stream_rows(stream.cpu())
