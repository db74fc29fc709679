"""Holds what `mdrun minimize` finds against ASE's BFGS on the same potential: ten molecules, and two crystals with their cells.

usage: minima.py MDRUN FOLDER WHAT

Both go down to 1e-5 eV/A in f64, from the same start. Where a molecule has a soft mode, two points that are so good may yet be
farther apart than 1e-4 A: at a stiffness k they are within 2e-5 / k. Such a molecule is taken down farther, by both.

As sockets.py, whose words these are.
"""

import json
import subprocess

import ase.io
import ase.units
import numpy as np
from ase.build import molecule
from ase.constraints import FixAtoms, Hookean
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.spacegroup import crystal

from sockets import HARTREE, MODEL, STRUCTURES, calculator, main

# Bars: energy (eV), positions (A), after superposition.
ENERGY, POSITIONS = 1e-6, 1e-4
# Forces (eV/A), and the stress of a cell (eV/A^3) and what it is in bar.
FORCE, STRESS_BAR = 1e-5, 0.5
EV_PER_A3 = 1 / 1602176.634  # of a bar

# Energies go through the socket in hartree, and ASE's is that of CODATA 2014: 8e-9 less, 3e-6 eV of these molecules.
CODATA = HARTREE / ase.units.Hartree

# Molecules that are shipped, and those of ASE's table, shaken so that no symmetry keeps them where they are.
SHIPPED = ["ethanol", "benzene", "aspirin", "paracetamol", "caffeine", "alanine_dipeptide"]
BUILT = ["CH3OH", "HCOOH", "C5H5N", "CH3CONH2"]


def molecules():
    """The ten, by name."""
    found = {name: ase.io.read(STRUCTURES / f"{name}.xyz") for name in SHIPPED}
    for seed, name in enumerate(BUILT):
        found[name] = molecule(name)
        found[name].rattle(0.03, seed=seed)
    return found


def crystals():
    """Urea (Swaminathan, Craven and McMullan, Acta Cryst. B 40, 300 (1984)) and dry ice, shaken a little."""
    urea = crystal(
        ["C", "O", "N", "H", "H"],
        [(0, 0.5, 0.3260), (0, 0.5, 0.5953), (0.1459, 0.6459, 0.1766), (0.2575, 0.7575, 0.2827), (0.1441, 0.6441, -0.0380)],
        spacegroup=113,
        cellpar=[5.565, 5.565, 4.684, 90, 90, 90],
    )
    ice = crystal(["C", "O"], [(0, 0, 0), (0.1185, 0.1185, 0.1185)], spacegroup=205, cellpar=[5.624] * 3 + [90] * 3)
    for seed, atoms in enumerate([urea, ice]):
        atoms.rattle(0.01, seed=seed)
    return {"urea": urea, "carbon dioxide": ice}


def minimize(mdrun, structure, force, *more):
    """What `mdrun minimize` finds, as atoms, and what it says."""
    out = structure.with_suffix(".minimum.xyz")
    command = [mdrun, "minimize", "--model", MODEL, "--structure", structure, "--out", out, "--json", "--device", "cpu"]
    options = ["--precision", "f64", "--force", f"{force} eV/A", "--overwrite", *more]
    done = subprocess.run([str(c) for c in command + options], check=True, capture_output=True, text=True)
    return ase.io.read(out), json.loads(done.stdout)


def superposed(positions, other):
    """Positions turned and moved onto others (Kabsch, Acta Cryst. A 32, 922 (1976))."""
    a, b = positions - positions.mean(axis=0), other - other.mean(axis=0)
    u, _, vt = np.linalg.svd(a.T @ b)
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))
    return a @ (u @ vt) + other.mean(axis=0)


def softest(atoms):
    """Stiffness of the softest mode but those of the whole (eV/A^2), by differences of forces."""
    delta, count = 1e-3, 3 * len(atoms)
    hessian, before = np.zeros((count, count)), atoms.positions.copy()
    for k in range(count):
        forces = []
        for sign in (1, -1):
            atoms.positions = before
            atoms.positions[k // 3, k % 3] += sign * delta
            forces.append(atoms.get_forces().ravel().copy())
        hessian[k] = (forces[1] - forces[0]) / (2 * delta)
    atoms.positions = before
    return np.linalg.eigvalsh(0.5 * (hessian + hessian.T))[6]


def of_small_ones(mdrun, folder, report):
    """Those of at most 12 atoms."""
    of_molecules(mdrun, folder, report, most=12)


def of_molecules(mdrun, folder, report, most=1000):
    """Ten molecules, or those of so many atoms at most."""
    for name, atoms in molecules().items():
        if len(atoms) > most:
            continue
        structure = folder / f"{name}.xyz"
        ase.io.write(structure, atoms, format="extxyz")
        start = atoms.positions.copy()
        with calculator(mdrun, structure) as calc:
            atoms.calc = calc
            for force in (FORCE, FORCE / 10):
                ours, said = minimize(mdrun, structure, force)
                atoms.positions = start
                optimiser = BFGS(atoms, logfile=None)
                report.between(f"{name}: BFGS has converged", float(optimiser.run(fmax=force, steps=2000)), 1, 1)
                apart = np.abs(superposed(ours.positions, atoms.positions) - atoms.positions).max()
                energy = abs(said["energy_ev"] - CODATA * atoms.get_potential_energy())
                print(f"{name}: {said['evaluations']} evaluations, BFGS {optimiser.nsteps}, at {force:g} eV/A {apart:.2g} A apart")
                if apart <= POSITIONS:
                    break
                stiffness = softest(atoms)
                print(f"{name}: the softest mode has {stiffness:.3g} eV/A^2, so that {force:g} eV/A leave {force / stiffness:.2g} A")
                report.between(f"{name}: such a mode is soft", stiffness, 0, 2 * FORCE / POSITIONS, "eV/A^2")
        report.most(f"{name}: largest force", said["largest_force_ev_per_angstrom"], FORCE, "eV/A")
        report.most(f"{name}: energy", energy, ENERGY, "eV")
        report.most(f"{name}: positions", apart, POSITIONS, "A")


def of_crystals(mdrun, folder, report):
    """Two crystals, whose cells change too, without pressure and under one of 1 GPa, from near a minimum: the potential, which was
    made for molecules, has several for each."""
    rng = np.random.default_rng(7)
    for name, atoms in crystals().items():
        structure = folder / f"{name.replace(' ', '_')}.xyz"
        ase.io.write(structure, atoms, format="extxyz")
        near, _ = minimize(mdrun, structure, 1e-3, "--cell", "triclinic", "--stress", "100 bar")
        strain = 1e-3 * rng.normal(size=(3, 3))
        atoms.set_cell(near.cell.array @ (np.eye(3) + 0.5 * (strain + strain.T)))
        atoms.positions = atoms.cell.cartesian_positions(near.get_scaled_positions(wrap=False)) + 0.005 * rng.normal(size=(len(atoms), 3))
        ase.io.write(structure, atoms, format="extxyz")
        start = atoms.positions.copy(), atoms.cell.copy()
        for gigapascal in (0, 1):
            pressure = gigapascal * 1e4 * EV_PER_A3
            options = ["--cell", "triclinic", "--stress", f"{STRESS_BAR} bar", "--pressure", f"{gigapascal} GPa"]
            ours, said = minimize(mdrun, structure, FORCE, *options)
            with calculator(mdrun, structure) as calc:
                atoms.cell, atoms.positions = start[1], start[0]
                atoms.calc = calc
                # ASE divides the virial by the number of atoms.
                fmax = min(FORCE, STRESS_BAR * EV_PER_A3 * atoms.get_volume() / len(atoms))
                optimiser = BFGS(FrechetCellFilter(atoms, scalar_pressure=pressure), logfile=None)
                converged = optimiser.run(fmax=fmax, steps=2000)
                theirs = CODATA * atoms.get_potential_energy()
            report.between(f"{name} at {gigapascal} GPa: BFGS has converged", float(converged), 1, 1)
            print(f"{name}: {said['evaluations']} evaluations, BFGS {optimiser.nsteps}; {atoms.cell.cellpar().round(4)}")
            report.most(f"{name}: energy", abs(said["energy_ev"] - theirs), ENERGY, "eV")
            enthalpy = theirs + pressure * atoms.get_volume()
            report.most(f"{name}: enthalpy", abs(said["enthalpy_ev"] - enthalpy), ENERGY, "eV")
            cells = np.abs(ours.cell.cellpar() - atoms.cell.cellpar())
            report.most(f"{name}: edges", cells[:3].max(), POSITIONS, "A")
            # The end of an edge moves by so much where its angle changes.
            arcs = np.deg2rad(cells[3:]).max() * atoms.cell.lengths().max()
            report.most(f"{name}: angles, as arcs", arcs, POSITIONS, "A")
            apart = ours.cell.scaled_positions(ours.positions) - atoms.cell.scaled_positions(atoms.positions)
            apart = (apart - apart.mean(axis=0)) @ atoms.cell.array
            report.most(f"{name}: positions in the cell", np.abs(apart).max(), POSITIONS, "A")


RUN = """
[system]
structure = "{structure}"
velocities = "zero"

[potential]
model = "{model}"
precision = "f64"

[dynamics]
ensemble = "nve"
timestep = "0.5 fs"

[device]
kind = "cpu"

[output]
directory = "{directory}"
thermo_every = 1

[[group]]
name = "frozen"
atoms = "index 0,4"
frozen = true

[[group]]
name = "held"
atoms = "index 2,7"
spring = {{ constant = "{constant} eV/A^2" }}

[[stage]]
name = "relax"
[stage.dynamics]
ensemble = "minimize"
force = "{force} eV/A"
"""


def of_held_ones(mdrun, folder, report):
    """Shaken ethanol, two atoms of which are frozen, and two held by springs to where they start (FixAtoms and Hookean)."""
    atoms = molecules()["ethanol"]
    atoms.rattle(0.05, seed=3)
    structure, directory, constant = folder / "held.xyz", folder / "held", 3.0
    ase.io.write(structure, atoms, format="extxyz")
    config = folder / "held.toml"
    config.write_text(RUN.format(structure=structure, model=MODEL, directory=directory, constant=constant, force=FORCE))
    subprocess.run([str(mdrun), "-q", str(config)], check=True, capture_output=True, text=True)
    ours = ase.io.read(directory / "final.xyz")
    with open(directory / "thermo.csv") as table:
        names, *_, last = [line.strip().split(",") for line in table]
    told = {name: float(value) for name, value in zip(names, last) if name.endswith("_ev")}
    with calculator(mdrun, structure) as calc:
        springs = [Hookean(a1=i, a2=atoms.positions[i].copy(), k=constant, rt=0) for i in (2, 7)]
        atoms.set_constraint([FixAtoms([0, 4]), *springs])
        atoms.calc = calc
        report.between("BFGS has converged", float(BFGS(atoms, logfile=None).run(fmax=FORCE, steps=2000)), 1, 1)
        alone = CODATA * atoms.get_potential_energy(apply_constraint=False)
        external = sum(spring.adjust_potential_energy(atoms) for spring in springs)
    report.most("energy with that of springs", abs(told["potential_energy_ev"] - alone - external), ENERGY, "eV")
    report.most("energy of springs", abs(told["external_energy_ev"] - external), ENERGY, "eV")
    report.between("springs are stretched", external, 1e-4, 1, "eV")
    report.most("positions", np.abs(ours.positions - atoms.positions).max(), POSITIONS, "A")


CHECKS = {"held": of_held_ones, "small": of_small_ones, "molecules": of_molecules, "crystals": of_crystals}


if __name__ == "__main__":
    main(CHECKS)
