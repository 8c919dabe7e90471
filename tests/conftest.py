"""Settings of the whole suite: one Hypothesis profile, and helpers that tests can import."""

from __future__ import annotations

import os
import sys

from hypothesis import HealthCheck, settings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

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
