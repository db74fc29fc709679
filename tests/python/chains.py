"""Runs ASE's chains of Nose-Hoover thermostats from a start that a test gives, and prints where they lead.

usage: chains.py START.json

START.json has masses (u), positions (angstrom), velocities (angstrom sqrt(eV / u)), the edge of the cube (angstrom), kt (eV),
timestep, steps, relaxation (angstrom sqrt(u / eV)), links, chain_steps, epsilon (eV) and sigma (angstrom); with pressure (eV / angstrom^3) and
barostat_relaxation it is a run at constant pressure. The potential is argon's as mdrun has it, cut at 8 angstrom. What is
printed is JSON: positions, velocities, edge, and how far the conserved energy was off at most (eV).
"""

import json
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.md.nose_hoover_chain import IsotropicMTKNPT, NoseHooverChainNVT
from ase.units import kB

import ensembles

CUTOFF = 8.0


class Argon(Calculator):
    """The switched Lennard-Jones potential of a cube, in all its pairs of nearest images."""

    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        edge = atoms.cell[0, 0]
        assert CUTOFF < edge / 2, "an atom sees two images of another"
        r = atoms.positions[None, :] - atoms.positions[:, None]
        r -= edge * np.round(r / edge)
        i, j = np.triu_indices(len(atoms), 1)
        vectors = r[i, j]
        distances = np.linalg.norm(vectors, axis=1)
        near = distances < CUTOFF
        i, j, vectors, distances = i[near], j[near], vectors[near], distances[near]
        energies, push = ensembles.pair(distances, CUTOFF)
        along = vectors * (push / distances)[:, None]
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, j, along)
        np.add.at(forces, i, -along)
        stress = -(vectors.T @ along) / edge**3
        energy = energies.sum()
        voigt = stress.flat[[0, 4, 8, 5, 2, 1]]
        self.results = {"energy": energy, "free_energy": energy, "forces": forces, "stress": voigt}


def dynamics(atoms, start):
    own = {
        "timestep": start["timestep"],
        "temperature_K": start["kt"] / kB,
        "tdamp": start["relaxation"],
        "tchain": start["links"],
        "tloop": start["chain_steps"],
    }
    if "pressure" not in start:
        return NoseHooverChainNVT(atoms, **own)
    own |= {"pressure_au": start["pressure"], "pdamp": start["barostat_relaxation"]}
    own |= {"pchain": start["links"], "ploop": start["chain_steps"]}
    found = IsotropicMTKNPT(atoms, **own)
    # ASE gives the barostat's own chain the mass 9 kT T^2; of one degree of freedom it is kT T^2 (Tuckerman et al. 2006).
    found._barostat._R[0] = found._barostat._kT * start["barostat_relaxation"] ** 2
    return found


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
    atoms.calc = Argon()
    moving = dynamics(atoms, start)
    first = moving.get_conserved_energy()
    off = 0.0
    for _ in range(start["steps"]):
        moving.step()
        off = max(off, abs(moving.get_conserved_energy() - first))
    found = {
        "positions": atoms.positions.tolist(),
        "velocities": atoms.get_velocities().tolist(),
        "edge": float(atoms.cell[0, 0]),
        "off": off,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
