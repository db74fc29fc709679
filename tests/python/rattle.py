"""Holds RATTLE against ASE's: `FixBondLengths` under `VelocityVerlet`, on the same potential.

usage: rattle.py MDRUN FOLDER WHAT

Ethanol with rigid bonds to hydrogen goes 100 steps of 1 fs in both, from the same positions and velocities. As sockets.py, whose
words these are.
"""

import subprocess

import ase.io
import ase.units
import numpy as np
from ase.constraints import FixBondLengths
from ase.md.verlet import VelocityVerlet

from sockets import MODEL, STRUCTURES, calculator, main

STEPS = 100
# What distances are kept to in both (a part of them).
TOLERANCE = 1e-12
# ASE's femtosecond is that of CODATA 2014, and forces go through the socket in its hartree and bohr: together 1e-8 of a force, or of
# what a trajectory is ahead by. Velocities of 0.03 A/fs for 100 fs are then 3e-8 A ahead, and bonds stretch that by a few.
POSITIONS = 1e-6
# A part of a distance.
LENGTHS = 1e-10

RUN = """[system]
structure = "start.xyz"
velocities = "from the file"
[potential]
model = "{model}"
precision = "f64"
[dynamics]
ensemble = "nve"
timestep = "1 fs"
steps = {steps}
[constraints]
bonds = {pairs}
tolerance = {tolerance}
[device]
kind = "cpu"
[output]
directory = "run"
[[output.trajectory]]
format = "xyz"
every = 1
[monitor]
action = "warn"
"""


def of_rattle(mdrun, folder, report):
    """The same trajectory."""
    atoms = ase.io.read(STRUCTURES / "ethanol.xyz")
    distances = atoms.get_all_distances()
    hydrogens = np.flatnonzero(atoms.numbers == 1)
    heavy = np.flatnonzero(atoms.numbers != 1)
    pairs = [[int(heavy[np.argmin(distances[h, heavy])]), int(h)] for h in hydrogens]
    rng = np.random.default_rng(3)
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)) * np.sqrt(0.025 * atoms.get_masses())[:, None])
    ase.io.write(folder / "start.xyz", atoms, format="extxyz")
    # Both begin with the digits of the file, and with velocities from which each takes what stretches bonds.
    atoms = ase.io.read(folder / "start.xyz")
    distances = atoms.get_all_distances()
    atoms.set_constraint(FixBondLengths(pairs, tolerance=1e-13))
    atoms.set_momenta(atoms.get_momenta())
    structure = STRUCTURES / "ethanol.xyz"
    (folder / "run.toml").write_text(RUN.format(model=MODEL, steps=STEPS, pairs=pairs, tolerance=TOLERANCE))
    subprocess.run([str(mdrun), str(folder / "run.toml"), "-q"], check=True, cwd=folder)
    ours = ase.io.read(folder / "run" / "traj.xyz", ":")
    report.between("frames", len(ours), STEPS + 1, STEPS + 1)
    with calculator(mdrun, structure, "--precision", "f64") as calc:
        atoms.calc = calc
        dynamics = VelocityVerlet(atoms, timestep=1.0 * ase.units.fs)
        theirs = [atoms.positions.copy()]
        for _ in range(STEPS):
            dynamics.run(1)
            theirs.append(atoms.positions.copy())
    apart = [np.abs(a.positions - b).max() for a, b in zip(ours, theirs)]
    report.most("positions, over 10 steps", max(apart[:11]), POSITIONS / 10, "A")
    report.most("positions, over 100 steps", max(apart), POSITIONS, "A")
    report.between("the farthest atom has gone", np.abs(theirs[-1] - theirs[0]).max(), 0.1, 10, "A")
    before = np.array([distances[i, j] for i, j in pairs])
    for name, positions in [("ours", ours[-1].positions), ("ASE's", theirs[-1])]:
        lengths = np.array([np.linalg.norm(positions[i] - positions[j]) for i, j in pairs])
        report.most(f"lengths, {name}", np.abs(lengths / before - 1).max(), LENGTHS)


CHECKS = {"rattle": of_rattle}

if __name__ == "__main__":
    main(CHECKS)
