"""Reads with ASE what `mdrun energy --frame all` wrote as extended XYZ and compares it with its lines of JSON.

usage: all_frames.py FRAMES.xyz FRAMES.jsonl

Exit code 1 if a frame is not there, or anything in it is another number.
"""

import json
import sys

import ase.io
import numpy as np

frames = ase.io.read(sys.argv[1], index=":")
with open(sys.argv[2], encoding="utf-8") as lines:
    right = [json.loads(line) for line in lines]
if len(frames) != len(right):
    sys.exit(f"{len(frames)} frames, not {len(right)}")


def same(what, number, found, expected):
    if not np.array_equal(np.asarray(found), np.asarray(expected)):
        sys.exit(f"frame {number}: {what}: {found}, not {expected}")


for atoms, one in zip(frames, right):
    number = one["frame"]
    same("number", number, atoms.info["frame"], number)
    same("symbols", number, atoms.get_chemical_symbols(), one["elements"])
    same("positions", number, atoms.get_positions(), one["positions_angstrom"])
    same("energy", number, atoms.get_potential_energy(), one["energy_ev"])
    same("forces", number, atoms.get_forces(), one["forces_ev_per_angstrom"])
    same("pbc", number, atoms.get_pbc(), one["periodic"])
    if one["cell_angstrom"] is not None:
        same("cell", number, atoms.get_cell()[:], one["cell_angstrom"])
    if "stress_ev_per_angstrom3" in one:
        # ASE makes it symmetric, which rounding leaves it short of.
        stress = np.asarray(one["stress_ev_per_angstrom3"])
        off = np.abs(atoms.get_stress(voigt=False) - stress).max()
        if not off <= 1e-12 * np.abs(stress).max():
            sys.exit(f"frame {number}: stress is off by {off}")
    if "force_spread_ev_per_angstrom" in one:
        same("spread", number, atoms.info["force_spread"], one["force_spread_ev_per_angstrom"])
print(f"{len(frames)} frames are the same")
