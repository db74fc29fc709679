"""What the page on Python shows runs as it stands there."""

import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT

PAGES = ["docs/python.md", "python/README.md"]


def blocks():
    for page in PAGES:
        for found in re.finditer(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL):
            yield pytest.param(found[1], id=f"{page}:{found.start()}")


@pytest.mark.parametrize("block", list(blocks()))
def test_it_runs(block, tmp_path):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copy(ROOT / "configs/structures/ethanol.xyz", tmp_path)
    done = subprocess.run([sys.executable, "-W", "error", "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_everything_public_is_documented():
    import mdrun

    for name in mdrun.__all__:
        thing = getattr(mdrun, name)
        if not isinstance(thing, str):
            assert thing.__doc__, name
            for field, value in vars(thing).items():
                if callable(value) and not field.startswith("_"):
                    assert value.__doc__, f"{name}.{field}"
