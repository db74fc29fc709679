"""`python -m mdrun` and the command that the wheel brings are the program."""

import importlib.metadata
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mdrun

from conftest import ROOT, STRUCTURES


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["keys", "dynamics"],
        ["energy", "--model", "painn_hcno_gfn2", "--structure", str(STRUCTURES / "ethanol.xyz")],
        ["energy", "--model", "painn_hcno_gfn2", "--structure", "none.xyz"],
        ["energy", "--modle", "x"],
        ["none.toml"],
        [],
    ],
)
def test_it_says_what_the_program_says(program, module, arguments):
    ours, theirs = module(*arguments), program(*arguments, check=False)
    assert (ours.stdout, ours.stderr, ours.returncode) == (theirs.stdout, theirs.stderr, theirs.returncode)


def test_versions(module):
    assert module("--version").stdout.startswith(f"mdrun {mdrun.__version__}")
    command = Path(sys.executable).with_name("mdrun")
    if not command.exists():
        pytest.skip("the package is not installed beside this Python")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == module("--version").stdout


def test_licences_come_with_it():
    try:
        files = importlib.metadata.files("mdrun")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is not installed")
    texts = {file.name: file.read_text() for file in files if file.parent.name == "licenses"}
    assert texts.keys() == {"LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY.txt"}
    for name in ("pyo3 ", "burn ", "Rust's standard library"):
        assert f"\n{name}" in texts["THIRD-PARTY.txt"]


def test_a_run_hears_signals(tmp_path):
    config = ROOT / "configs/ethanol_nve.toml"
    for number in (signal.SIGINT, signal.SIGTERM):
        out = tmp_path / number.name
        command = [sys.executable, "-m", "mdrun", config, "--out", out, "--set", "dynamics.steps=100000000"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not (out / "thermo.csv").exists() or not (out / "thermo.csv").stat().st_size:
            assert child.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)
        child.send_signal(number)
        said, complained = child.communicate(timeout=60)
        assert child.returncode == 128 + number
        assert f"interrupted by {number.name}" in said + complained or number.name in said
        assert "Traceback" not in complained


def test_a_full_standard_output_is_told(module):
    command = [sys.executable, "-m", "mdrun", "keys"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and "standard output cannot be written" in done.stderr
    ended = subprocess.run(f"{' '.join(command)} | head -1", shell=True, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
