"""The low-level functions, where torch-ans has its compiled module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from . import lowlevel
from .lowlevel import *  # noqa: F403

__all__ = list(lowlevel.__all__)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Any]:
        """The low-level functions, for a type checker."""
