"""Structures, run files and the program that the package is compared with."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import ase.io
import pytest

import mdrun

ROOT = Path(__file__).resolve().parents[2]
STRUCTURES = ROOT / "configs/structures"


@pytest.fixture
def ethanol():
    return ase.io.read(STRUCTURES / "ethanol.xyz")


@pytest.fixture
def water():
    """64 molecules in a periodic cell."""
    return ase.io.read(STRUCTURES / "water64.xyz")


@pytest.fixture(scope="session")
def potential():
    return mdrun.Potential()


@pytest.fixture(scope="session")
def program():
    """The program `mdrun`, of the same sources; or a function that runs it."""
    path = os.environ.get("MDRUN") or shutil.which("mdrun", path=str(ROOT / "target/release"))
    if not path:
        pytest.skip("set MDRUN to the program mdrun")

    def run(*arguments, check=True, **more):
        done = subprocess.run(
            [path, *map(str, arguments)], capture_output=True, text=True, check=False, **more
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def module():
    """Runs `python -m mdrun`."""

    def run(*arguments, **more):
        command = [sys.executable, "-m", "mdrun", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **more)

    return run
