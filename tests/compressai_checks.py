"""Checks against the package compressai, run by test_compressai_package.py, which installs it.

Models have random weights, latents are blown up until symbols escape their tables.
"""

from __future__ import annotations

import copy
import os
import sys
import types
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np
import pytest
import torch

import compressai_stubs

compressai_stubs.install()
torch.set_num_threads(1)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compressai  # noqa: E402
from compressai import _CXX, ans  # noqa: E402
from compressai.entropy_models import entropy_models as theirs  # noqa: E402
from compressai.models import (  # noqa: E402
    Cheng2020Anchor,
    Cheng2020Attention,
    FactorizedPrior,
    JointAutoregressiveHierarchicalPriors,
    MeanScaleHyperprior,
    ScaleHyperprior,
    google,
)

import torch_ans.compressai as ours  # noqa: E402
from helpers import make_symbols, make_tables  # noqa: E402
from torch_ans import CodingTables, CorruptStreamError  # noqa: E402
from torch_ans.compat import compressai as drop_in  # noqa: E402

MODELS = {
    "bmshj2018_factorized": lambda: FactorizedPrior(8, 12),
    "bmshj2018_hyperprior": lambda: ScaleHyperprior(8, 12),
    "mbt2018_mean": lambda: MeanScaleHyperprior(8, 12),
    "mbt2018": lambda: JointAutoregressiveHierarchicalPriors(12, 12),
    "cheng2020_anchor": lambda: Cheng2020Anchor(8),
    "cheng2020_attn": lambda: Cheng2020Attention(8),
}


def make_model(name: str) -> Any:
    torch.manual_seed(7)
    model = MODELS[name]().eval()
    with torch.no_grad():  # the last layer of the analysis: latents of some hundreds
        layers = [m for m in model.g_a.modules() if isinstance(m, torch.nn.Conv2d)]
        layers[-1].weight.mul_(300)
    model.update(force=True)
    return model


def make_image(batch: int) -> torch.Tensor:
    return torch.rand(batch, 3, 64, 128, generator=torch.Generator().manual_seed(8))


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    with torch.no_grad():
        yield
    drop_in.uninstall()
    assert ans.RansEncoder.__module__ == "compressai.ans"


def has_escapes(tables: CodingTables, symbols: torch.Tensor, indexes: torch.Tensor) -> bool:
    index = indexes.long()
    value = symbols - tables.offsets[index]
    return bool(((value < 0) | (value >= tables.cdfs_sizes[index] - 2)).any())


@pytest.mark.parametrize("name", MODELS)
def test_models_write_and_read_the_same(name: str) -> None:
    model = make_model(name)
    image = make_image(2 if name != "mbt2018" and "cheng" not in name else 1)
    escaped: List[bool] = []

    def encode_latents(tables: Any, values: Any, means: Any, indexes: Any) -> Any:
        symbols = torch.round(values if means is None else values - means)
        escaped.append(has_escapes(tables, symbols, indexes))
        return original(tables, values, means, indexes)

    original, ours.encode_latents = ours.encode_latents, encode_latents
    plain = model.compress(image)
    plain_image = model.decompress(**plain)["x_hat"]
    with drop_in.install():
        fast = model.compress(image)
        fast_image = model.decompress(**fast)["x_hat"]
        updated = copy.deepcopy(model)
        updated.update(force=True)
        fresh = make_model(name)
        assert fresh.compress(image)["strings"] == plain["strings"]
    ours.encode_latents = original
    assert fast["strings"] == plain["strings"]
    assert torch.equal(fast_image, plain_image)
    for key, value in model.state_dict().items():
        assert torch.equal(updated.state_dict()[key], value), key
    assert name.startswith(("mbt2018", "cheng")) or any(escaped)
    # what was made under install() goes on with compressai's coder
    assert type(fresh.entropy_bottleneck.entropy_coder._encoder) is ans.RansEncoder
    assert fresh.compress(image)["strings"] == plain["strings"]


def gaussian_inputs(shape: Tuple[int, ...]) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(9)
    scales = torch.exp(2 * torch.randn(shape, generator=generator))
    means = torch.randn(shape, generator=generator)
    inputs = means + scales * torch.randn(shape, generator=generator)
    inputs.view(-1)[::97] *= 1e4
    return inputs, scales, means


@pytest.mark.parametrize("size", [(3, 4, 5, 6), (1, 2), (2, 3, 0), (70, 2, 9)])
def test_gaussian_conditional(size: Tuple[int, ...]) -> None:
    table = google.get_scale_table().tolist()
    plain, fast = theirs.GaussianConditional(table), ours.GaussianConditional(table)
    for model in (plain, fast):
        model.update()
    inputs, scales, means = gaussian_inputs(size)
    indexes = fast.build_indexes(scales)
    expected = plain.build_indexes(scales)
    assert torch.equal(indexes, expected) and indexes.dtype == expected.dtype
    for mean in (None, means):
        strings = fast.compress(inputs, indexes, mean)
        if 0 not in size:  # compressai writes in front of its buffer there
            if inputs[0].numel() >= 8:
                assert strings == plain.compress(inputs, indexes, mean)
            back = plain.decompress(strings, indexes, means=mean)
            assert torch.equal(fast.decompress(strings, indexes, means=mean), back)
        else:
            assert fast.decompress(strings, indexes, means=mean).shape == torch.Size(size)


def test_scales_are_sorted_as_compressai_does() -> None:
    plain = theirs.GaussianConditional([0.11, 0.5, 1.0, 8.0])
    fast = ours.GaussianConditional([0.11, 0.5, 1.0, 8.0])
    scales = torch.tensor([0.0, 0.11, 0.1100001, 0.5, 0.75, 1.0, 8.0, 9.0, -1.0, float("inf")])
    for dtype in (torch.float32, torch.float64, torch.float16):
        given = scales.to(dtype)
        assert torch.equal(fast.build_indexes(given), plain.build_indexes(given))
    nan = torch.tensor([float("nan")])
    assert torch.equal(fast.build_indexes(nan), plain.build_indexes(nan))


@pytest.mark.parametrize("spatial", [(5, 4), (9,), (2, 2, 2)])
def test_entropy_bottleneck(spatial: Tuple[int, ...]) -> None:
    torch.manual_seed(3)
    plain = theirs.EntropyBottleneck(6)
    plain.update()
    fast = ours.EntropyBottleneck(6)
    fast.load_state_dict(plain.state_dict())
    inputs = 8 * torch.randn(3, 6, *spatial)
    strings = fast.compress(inputs)
    assert strings == plain.compress(inputs)
    expected = plain.decompress(strings, spatial)
    assert torch.equal(fast.decompress(strings, spatial), expected)


def test_gaussian_mixture() -> None:
    torch.manual_seed(4)
    y = 6 * torch.randn(1, 5, 4, 3)
    y[:, 2] = 0
    scales, means = torch.rand(1, 15, 4, 3) * 4, torch.randn(1, 15, 4, 3)
    weights = torch.softmax(torch.randn(1, 3, 5, 4, 3), 1).reshape(1, 15, 4, 3)
    parameters = (scales, means, weights)
    plain, fast = theirs.GaussianMixtureConditional(K=3), ours.GaussianMixtureConditional(K=3)
    (data, abs_max, used), rounded = plain.compress(y, *parameters)
    (data2, abs_max2, used2), rounded2 = fast.compress(y, *parameters)
    assert data == data2 and abs_max == abs_max2
    assert torch.equal(used, used2) and used.dtype == used2.dtype
    assert torch.equal(rounded, rounded2)
    back = plain.decompress(data, abs_max, used, *parameters)
    assert torch.equal(fast.decompress(data, abs_max, used, *parameters), back)
    assert torch.equal(back, rounded)
    with drop_in.install():
        (data3, _, _), _ = plain.compress(y, *parameters)
        assert data3 == data
        assert torch.equal(plain.decompress(data, abs_max, used, *parameters), back)


def test_broken_strings_raise() -> None:
    model = ours.GaussianConditional(google.get_scale_table().tolist())
    model.update()
    inputs, scales, _ = gaussian_inputs((3, 4, 50))
    indexes = model.build_indexes(scales)
    strings = model.compress(inputs, indexes)
    strings[1] = strings[1][:12]
    with pytest.raises(CorruptStreamError) as caught:
        model.decompress(strings, indexes)
    assert caught.value.rows == [1]
    with pytest.raises(ValueError, match="update"):
        ours.GaussianConditional([0.11]).compress(inputs, indexes)
    with pytest.raises(ValueError, match="indexes"):
        model.compress(inputs, indexes[:2])
    with pytest.raises(ValueError, match="means"):
        model.decompress(strings, indexes, means=torch.zeros(3, 3, 1))
    with pytest.raises(IndexError):
        model.compress(inputs, indexes + 64)


@pytest.mark.parametrize("seed", range(6))
def test_coders_write_the_same_bytes(seed: int) -> None:
    tables = make_tables(seed, [2, 3, 40, 300][seed % 3 :], 16)
    symbols, indexes = make_symbols(seed, (500,), tables, far_bits=24)
    rows = [row[:size].tolist() for row, size in zip(tables.cdfs, tables.sizes.tolist())]
    lists = (rows, tables.sizes.tolist(), tables.offsets.tolist())
    arguments = (symbols.tolist(), indexes.tolist(), *lists)
    data = ans.RansEncoder().encode_with_indexes(*arguments)
    assert drop_in.RansEncoder().encode_with_indexes(*arguments) == data
    assert drop_in.RansDecoder().decode_with_indexes(data, *arguments[1:]) == arguments[0]
    encoders = (ans.BufferedRansEncoder(), drop_in.BufferedRansEncoder())
    for encoder in encoders:
        for part in range(0, 500, 125):
            encoder.encode_with_indexes(
                arguments[0][part : part + 125], arguments[1][part : part + 125], *lists
            )
    assert encoders[0].flush() == encoders[1].flush() == data
    for decoder in (ans.RansDecoder(), drop_in.RansDecoder()):
        decoder.set_stream(data)
        for part in range(0, 500, 125):
            found = decoder.decode_stream(arguments[1][part : part + 125], *lists)
            assert found == arguments[0][part : part + 125]


def test_cdfs_are_the_same() -> None:
    rng = np.random.default_rng(5)
    for size in (1, 2, 30, 500):
        for power in (1, 4, 9):
            pmf = (rng.exponential(size=size) ** power).astype(np.float32)
            pmf /= pmf.sum()
            expected = _CXX.pmf_to_quantized_cdf(pmf.tolist(), 16)
            assert drop_in.pmf_to_quantized_cdf(pmf.tolist(), 16) == expected
            assert drop_in.pmf_to_quantized_cdf(pmf, 16).tolist() == expected
            assert drop_in.pmf_to_quantized_cdf(torch.from_numpy(pmf), 16).tolist() == expected


def snapshot() -> Dict[str, Any]:
    owners = [m for n, m in sys.modules.items() if n.split(".")[0] == "compressai"]
    owners += [theirs.EntropyModel, theirs.GaussianConditional, theirs._EntropyCoder]
    owners += [theirs.GaussianMixtureConditional]
    return {"%s.%s" % (owner.__name__, k): v for owner in owners for k, v in vars(owner).items()}


def test_install_is_undone_cleanly() -> None:
    user = types.ModuleType("somebody_s_codec")
    user.RansDecoder = ans.RansDecoder  # type: ignore[attr-defined]
    sys.modules[user.__name__] = user
    model = make_model("bmshj2018_hyperprior")
    before = snapshot()
    with drop_in.install() as first:
        assert user.RansDecoder is drop_in.RansDecoder
        assert google.BufferedRansEncoder is drop_in.BufferedRansEncoder
        assert theirs._pmf_to_quantized_cdf is drop_in.pmf_to_quantized_cdf
        coder = model.entropy_bottleneck.entropy_coder
        assert type(coder._decoder) is drop_in.RansDecoder
        with drop_in.install() as second:
            assert second is first
        assert ans.RansEncoder is drop_in.RansEncoder  # the outer block goes on
        late = types.ModuleType("compressai.imported_later")
        late.RansEncoder = ans.RansEncoder  # type: ignore[attr-defined]
        sys.modules[late.__name__] = late
    assert late.RansEncoder.__module__ == "compressai.ans"
    del sys.modules[late.__name__], sys.modules[user.__name__]
    assert user.RansDecoder is ans.RansDecoder
    assert type(coder._decoder) is ans.RansDecoder
    after = snapshot()
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    drop_in.install()
    drop_in.uninstall()
    drop_in.uninstall()
    assert snapshot().keys() == before.keys()
    assert compressai.available_entropy_coders() == ["ans"]
