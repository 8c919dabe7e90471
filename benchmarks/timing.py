"""Timing that compares: contenders take strict turns in one run, medians and spread are kept."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Sequence


@dataclass(frozen=True)
class Timing:
    """Seconds of one contender, one entry per turn."""

    seconds: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Interquartile range over the median."""
        if len(self.seconds) < 2:
            return 0.0
        quarters = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (quarters[2] - quarters[0]) / self.median


def alternate(
    runs: Mapping[str, Callable[[], float]],
    turns: int,
    done: Callable[[], object],
    warm_up: int = 1,
) -> Dict[str, Timing]:
    """Lets every contender run once a turn, in order; each run returns its own seconds.

    Args:
        runs: Contender to a function that codes once and returns the seconds it measured.
        turns: How often each contender is measured.
        done: Called after each run (a progress bar's update).
        warm_up: Turns that are not counted.
    """
    seconds: Dict[str, List[float]] = {name: [] for name in runs}
    for turn in range(warm_up + turns):
        for name, run in runs.items():
            elapsed = run()
            if turn >= warm_up:
                seconds[name].append(elapsed)
            done()
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def ratio(ours: Timing, theirs: Timing) -> float:
    """How many times faster ours is: the median over the turns of theirs / ours."""
    return statistics.median(b / a for a, b in zip(ours.seconds, theirs.seconds))
