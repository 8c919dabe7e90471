"""Stands in for packages that compressai imports but that its entropy models do not need.

Some of them (torchvision, torch_geometric) cannot be installed beside every torch.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import Any

NAMES = (
    "PIL",
    "matplotlib",
    "pandas",
    "pytorch_msssim",
    "requests",
    "torch_geometric",
    "torchvision",
    "tqdm",
)


class Stub(ModuleType):
    """A module in which every name is a class that takes any arguments, and decorates nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        methods = {
            "__init__": lambda self, *args, **kwargs: None,
            "__call__": lambda self, decorated=None, *args, **kwargs: decorated,
        }
        return type(name, (), methods)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds stubs, behind all that is really installed."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name.split(".")[0] in NAMES:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> ModuleType:
        return Stub(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def install() -> None:
    sys.meta_path.append(Finder())
