#!/bin/sh
# Makes the Python environment that reads trajectories back in the tests: .venv in the project's root,
# with the releases that requirements.txt names; or another one, of another list. Run again, it does nothing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${1:-$root/.venv}
wanted=${2:-$here/requirements.txt}
done=$venv/requirements.done

die() { echo "setup.sh: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# One at a time: tests of two builds may start together.
if have flock && [ -z "${MDRUN_VENV_LOCKED:-}" ]; then
    MDRUN_VENV_LOCKED=1 exec flock "$wanted" sh "$0" "$@"
fi

cmp -s "$wanted" "$done" && exit 0
have python3 || die "python3 is missing"
echo "setup.sh: installing $(grep -c '==' "$wanted") packages into $venv" >&2
rm -rf "$venv"
if ! python3 -m venv "$venv" >/dev/null 2>&1; then
    # Debian keeps what venv needs in a package of its own.
    rm -rf "$venv"
    if [ "$(id -u)" = 0 ] && have apt-get; then
        apt-get update -qq >/dev/null 2>&1 || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null 2>&1 ||
            die "python3 cannot make virtual environments, and apt-get could not install python3-venv"
    fi
    python3 -m venv "$venv" >/dev/null || die "python3 cannot make virtual environments; install python3-venv"
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$wanted" ||
    die "pip could not install the packages"
cp "$wanted" "$done"
