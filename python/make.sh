#!/bin/sh
# Builds the Python package's wheel into the build folder, installs it into python/.venv, checks its types, and runs its tests.
# TARGET is the build folder, MDRUN the program that the package is compared with; words are handed on to pytest.
set -eu
export CARGO_TERM_QUIET=true
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/.venv
wheels=$TARGET/wheels

die() { echo "make python: $*" >&2; exit 1; }

python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || die "python3 is missing, or older than 3.10"
sh "$here/../tests/python/setup.sh" "$venv" "$here/requirements.txt"

rm -rf "$wheels"
# The wheel brings the licences of what is linked into it.
python3 "$here/../.ci/licences.py" >"$here/THIRD-PARTY.txt"
cd "$here"
"$venv/bin/maturin" build --quiet --release --locked --interpreter "$venv/bin/python" --out "$wheels"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheels"/mdrun-*.whl
"$venv/bin/python" -m mypy
# Types are those of what is there; not in the folder of the sources, which would be taken in its place.
(cd "$venv" && "$venv/bin/python" -m mypy.stubtest mdrun._mdrun)
cd "$here/tests"
"$venv/bin/python" -m pytest -q "$@"
