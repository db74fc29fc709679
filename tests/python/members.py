"""Reads what a batch has written with ASE and MDAnalysis: trajectories of members and last states.

usage: members.py APART TOGETHER

APART is the directory of a batch whose members have trajectories of their own, TOGETHER one of the same batch with all of them in
one file. Exit code 1 if anything is not as it should be.
"""

import csv
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")

import ase.io  # noqa: E402
import MDAnalysis  # noqa: E402

# XTC stores up to nine atoms in full, as f32 nanometres; DCD as f32 angstrom: coordinates up to 16 A.
F32 = 4 * 16.0 / 2**24


def main(apart, together):
    with open(apart / "members.csv", newline="") as file:
        members = list(csv.DictReader(file))
    assert [int(m["index"]) for m in members] == list(range(len(members)))
    assert all(m["status"] == "complete" for m in members), members
    of_all = ase.io.read(together / "traj.xyz", index=":")
    last = ase.io.read(apart / "final.xyz", index=":")
    with open(apart / "thermo.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for k, member in enumerate(members):
        folder = apart / "members" / f"{k:04d}"
        frames = ase.io.read(folder / "traj.xyz", index=":")
        mine = [frame for frame in of_all if frame.info["member"] == k]
        assert len(frames) == len(mine) > 3
        for frame, other in zip(frames, mine):
            assert len(frame) == len(other) == int(member["atoms"])
            assert frame.info["step"] == other.info["step"]
            assert np.array_equal(frame.positions, other.positions)
            assert np.array_equal(frame.get_forces(), other.get_forces())
        assert last[k].info["member"] == k and last[k].info["status"] == "complete"
        assert last[k].info["step"] == int(member["steps"])
        steps = [int(row["step"]) for row in rows if int(row["member"]) == k]
        assert steps == sorted(steps) and steps[-1] == int(member["steps"])
        for name in ["traj.dcd", "traj.xtc"]:
            universe = MDAnalysis.Universe(str(folder / "topology.pdb"), str(folder / name))
            assert len(universe.trajectory) == len(frames), (name, len(universe.trajectory))
            for read, frame in zip(universe.trajectory, frames):
                off = np.max(np.abs(read.positions - frame.positions))
                assert off < F32, (k, name, off)
    print(f"{len(members)} members, {len(of_all)} frames in one file")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
