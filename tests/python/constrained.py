"""Runs ASE's velocity Verlet with fixed bond lengths from a start that a test gives, and prints where it leads.

usage: constrained.py START.json

START.json has masses (u), positions (angstrom), velocities (angstrom sqrt(eV / u)), the edge of the cube (angstrom), timestep (angstrom
sqrt(u / eV)), steps, pairs, tolerance, epsilon (eV) and sigma (angstrom). The potential is argon's as mdrun has it. What is printed
is JSON: positions and velocities.
"""

import json
import sys
from pathlib import Path

from ase import Atoms
from ase.constraints import FixBondLengths
from ase.md.verlet import VelocityVerlet

import ensembles
from chains import Argon


def main():
    start = json.loads(Path(sys.argv[1]).read_text())
    ensembles.EPSILON, ensembles.SIGMA = start["epsilon"], start["sigma"]
    atoms = Atoms(
        numbers=[18] * len(start["masses"]),
        masses=start["masses"],
        positions=start["positions"],
        velocities=start["velocities"],
        cell=[start["edge"]] * 3,
        pbc=True,
    )
    atoms.set_constraint(FixBondLengths(start["pairs"], tolerance=start["tolerance"]))
    atoms.calc = Argon()
    VelocityVerlet(atoms, timestep=start["timestep"]).run(start["steps"])
    found = {"positions": atoms.positions.tolist(), "velocities": atoms.get_velocities().tolist()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
