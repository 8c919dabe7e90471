"""What is said where CUDA is missing, in part or altogether."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

import torch_ans
from torch_ans import TorchANSInterface, _native


def cuda_tensor() -> Any:
    return SimpleNamespace(is_cuda=True, device=torch.device("cuda:0"))


def test_no_engine_in_this_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "cuda_engine", lambda: None)
    with pytest.raises(ValueError, match=r"stream is on device cuda:0.*FORCE_CUDA=1.*stream.cpu"):
        _native._check_device(cuda_tensor(), "stream", True)
    with pytest.raises(ValueError, match="device is 'cuda', but this build"):
        TorchANSInterface(device="cuda")


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SimpleNamespace(unavailable_because=lambda: "driver version is insufficient")
    monkeypatch.setattr(_native, "cuda_engine", lambda: broken)
    for make in (
        lambda: _native._check_device(cuda_tensor(), "symbols", True),
        lambda: TorchANSInterface(device="cuda:0"),
        lambda: torch_ans.rans64_init_stream(1, device="cuda"),
    ):
        with pytest.raises(ValueError, match="driver cannot be used: driver version"):
            make()


def test_other_devices() -> None:
    with pytest.raises(ValueError, match="CPU and on CUDA"):
        torch_ans.rans_check_stream(torch.zeros(1, 3, dtype=torch.int32, device="meta"))
    with pytest.raises(ValueError, match="'meta'"):
        TorchANSInterface(device="meta")
    assert TorchANSInterface(device="cpu").device == torch.device("cpu")


def test_tensors_on_several_devices() -> None:
    first, other = torch.zeros(1), torch.zeros(1, device="meta")
    _native.check_devices(first, "stream", {"symbols": first, "indexes": None})
    with pytest.raises(ValueError, match="indexes must be on the device of stream, cpu, got meta"):
        _native.check_devices(first, "stream", {"symbols": first, "indexes": other})


def test_what_this_build_says() -> None:
    engine = _native.cuda_engine()
    if engine is None or torch.cuda.is_available():
        return
    assert engine.built_for and engine.ROW_RESULT_BYTES == 24
    assert "driver cannot be used" in _native.cuda_problem()
    assert (engine.SUMMARY_WORDS, engine.INFO_BYTES) == (8, 16)
