"""The command line: ``python -m mdrun`` is ``mdrun``."""

import signal
import sys

from ._mdrun import command


def main() -> int:
    """Runs the command line that the process was started with, and returns its exit code."""
    # A run ends by itself where it is asked to, with a checkpoint and with the exit code that tells of the signal.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return command(["mdrun", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
