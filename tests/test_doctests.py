"""The examples in the docstrings run as they stand."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from typing import List

import pytest

import torch_ans

NEEDS = {"torch_ans.compressai": "compressai", "torch_ans.benchmark": "tqdm"}


def modules() -> List[str]:
    found = pkgutil.walk_packages(torch_ans.__path__, "torch_ans.")
    return [module.name for module in found if not module.name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_examples(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
