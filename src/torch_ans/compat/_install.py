"""Puts torch_ans in the place of CompressAI's entropy coder, and takes it out again."""

from __future__ import annotations

import sys
import weakref
from functools import wraps
from types import ModuleType, TracebackType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Type

__all__ = ["Installation", "install", "uninstall"]

_CODERS = ("RansEncoder", "BufferedRansEncoder", "RansDecoder")
_MISSING = object()

_active: Optional[Installation] = None


class Installation:
    """CompressAI codes with torch_ans: until `uninstall`, or the end of a `with` block."""

    def __init__(self) -> None:
        self._changes: List[Tuple[Any, str, Any, Any]] = []  # owner, name, theirs, ours
        self._theirs: Dict[int, Any] = {}  # by the id of ours
        self._blocks = 0
        try:
            self._install()
        except BaseException:
            self.uninstall()
            raise

    def __enter__(self) -> Installation:
        self._blocks += 1
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._blocks -= 1
        if not self._blocks:
            self.uninstall()

    def uninstall(self) -> None:
        """Puts everything back that is still as it was left; a second call does nothing."""
        global _active
        if _active is self:
            _active = None
        for owner, name, theirs, ours in reversed(self._changes):
            if vars(owner).get(name) is not ours:
                continue
            if theirs is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, theirs)
        self._changes = []
        for module, name, value in _globals_of("compressai"):  # imported since then
            if id(value) in self._theirs:
                setattr(module, name, self._theirs[id(value)])

    def _install(self) -> None:
        from compressai import _CXX, ans
        from compressai.entropy_models import entropy_models as models

        from .. import compressai as batched
        from . import compressai as drop_in

        pairs = [(getattr(ans, name), getattr(drop_in, name)) for name in _CODERS]
        pairs.append((_CXX.pmf_to_quantized_cdf, drop_in.pmf_to_quantized_cdf))
        self._theirs = {id(ours): theirs for theirs, ours in pairs}
        exchange = {id(theirs): ours for theirs, ours in pairs}
        for module, name, value in _globals_of(""):
            if id(value) in exchange:
                self._change(module, name, exchange[id(value)])
        for method in ("compress", "decompress"):
            ours = vars(batched.BatchedEntropyModel)[method]
            self._change_method(models.EntropyModel, method, ours)
            ours = vars(batched.GaussianMixtureConditional)[method]
            self._change_method(models.GaussianMixtureConditional, method, ours)
        for model, method in (
            ("GaussianConditional", "build_indexes"),
            ("EntropyBottleneck", "_build_indexes"),
        ):
            self._change(getattr(models, model), method, vars(getattr(batched, model))[method])
        encoder, _, decoder = pairs[:3]
        for name, (theirs, ours) in (("_encoder", encoder), ("_decoder", decoder)):
            attribute = _CoderAttribute(name, ours, theirs)
            self._change(models._EntropyCoder, name, attribute)

    def _change(self, owner: Any, name: str, ours: Any) -> None:
        self._changes.append((owner, name, vars(owner).get(name, _MISSING), ours))
        setattr(owner, name, ours)

    def _change_method(self, owner: type, name: str, ours: Callable[..., Any]) -> None:
        """Changes a method for models with the coder "ans"; there may be others."""
        theirs = vars(owner)[name]

        @wraps(theirs)
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            chosen = ours if self.entropy_coder.name == "ans" else theirs
            return chosen(self, *args, **kwargs)

        self._change(owner, name, method)


class _CoderAttribute:
    """A coder of compressai's `_EntropyCoder`: ours, also where the object is older than this."""

    def __init__(self, name: str, ours: type, theirs: type) -> None:
        self._name, self._ours, self._theirs = name, ours, theirs
        self._coders: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def __get__(self, owner: Any, kind: Optional[type] = None) -> Any:
        if owner is None:
            return self
        if owner.name != "ans":
            return vars(owner)[self._name]
        if owner not in self._coders:
            self._coders[owner] = self._ours()
        return self._coders[owner]

    def __set__(self, owner: Any, value: Any) -> None:
        vars(owner)[self._name] = self._theirs() if isinstance(value, self._ours) else value


def install() -> Installation:
    """Makes compressai, and code that imported its coder, use torch_ans: the same bytes, faster.

    Replaced are `compressai.ans.RansEncoder`, `BufferedRansEncoder`, `RansDecoder` and
    `compressai._CXX.pmf_to_quantized_cdf`, wherever a module holds them by name, and the methods of
    compressai's entropy models that would turn tensors into lists. Models that exist already are
    included; those with another coder than "ans" are not.

    Returns:
        What undoes it: `with install(): ...`, or its `uninstall()`. Where it is installed already,
        the same object.

    Raises:
        ImportError: compressai is not installed.

    Example:
        >>> from torch_ans.compat.compressai import install
        >>> with install():  # doctest: +SKIP
        ...     strings = model.compress(image)["strings"]
    """
    global _active
    if _active is None:
        _active = Installation()
    return _active


def uninstall() -> None:
    """Undoes `install`; does nothing where it is not installed."""
    if _active is not None:
        _active.uninstall()


def _globals_of(package: str) -> Iterator[Tuple[ModuleType, str, Any]]:
    """Module, name and value of all that the modules of a package ("": of any but ours) hold."""
    for name, module in list(sys.modules.items()):
        inside = name.split(".")[0] == package if package else name.split(".")[0] != "torch_ans"
        if inside and isinstance(module, ModuleType):
            for key, value in list(vars(module).items()):
                yield module, key, value
