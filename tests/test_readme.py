"""The README's Python code runs, in the order in which it stands there."""

from __future__ import annotations

import os
import re

import pytest

from helpers import ROOT, run_child

README = os.path.join(ROOT, "README.md")


@pytest.mark.skipif(not os.path.exists(README), reason="a copy of the tests has no README")
def test_the_code_of_the_readme_runs(tmp_path):
    with open(README, encoding="utf-8") as file:
        blocks = re.findall(r"^```python\n(.*?)^```", file.read(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 4
    run_child("\n".join(blocks), cwd=str(tmp_path))
