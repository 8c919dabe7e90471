"""Settings of the whole suite: one Hypothesis profile, helpers that tests can import, fixtures."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cuda_device import require_gpu
from cuda_stand_in import HostEngine, stand_in

# The same examples in every run and on every machine; no deadline, as nothing here is timed.
settings.register_profile(
    "torch_ans",
    derandomize=True,
    deadline=None,
    max_examples=60,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("torch_ans")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> HostEngine:
    return stand_in(monkeypatch)


@pytest.fixture(autouse=True)
def gpu(request: pytest.FixtureRequest) -> None:
    """A real one, for the tests that are marked so."""
    if request.node.get_closest_marker("cuda") is not None:
        require_gpu()
