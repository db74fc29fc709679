"""Reads trajectories with MDAnalysis, mdtraj and ASE and compares them with what was written.

usage: read_back.py CASES.json

CASES.json lists files with the positions, cells, times and other data that they were written from. What
a file should hold is worked out here from textbook formulas, not by the code that wrote it. A case
marked "wrong" has been given other data than the file was written from: it must be found to differ.

Exit code 1 if anything is not as it should be.
"""

import json
import sys
import warnings

import numpy as np

warnings.filterwarnings("ignore")

import ase.io  # noqa: E402
import ase.units  # noqa: E402
import MDAnalysis  # noqa: E402
import mdtraj  # noqa: E402

# One part in 2^24, of coordinates up to 128 A.
F32 = 128.0 / 2**24
TOLERANCE = {
    # Position in A. mdtraj turns f32 angstrom into f32 nanometres: two more roundings.
    "dcd": 3 * F32,
    # Half of a grid step of 0.01 A, and f32's rounding of nanometres before and after.
    "xtc": 0.005 + 4 * F32,
    # Up to nine atoms are stored in full.
    "xtc-small": 4 * F32,
    "xyz": 3 * F32,
    "pdb": 0.0005 + 3 * F32,
}
# Cell lengths (A) and angles (degrees): f32 in XTC and in what the readers return.
LENGTH = 1e-5
ANGLE = 1e-4
# Time step and times (ps): f32 in both headers, times below 1 ps.
TIME = 1e-7


class Difference(Exception):
    """A file does not hold what it should."""


def same(what, found, right, tolerance):
    found, right = np.asarray(found, float), np.asarray(right, float)
    if found.shape != right.shape:
        raise Difference(f"{what}: shape {found.shape}, not {right.shape}")
    if not np.all(np.isfinite(found)):
        raise Difference(f"{what}: not finite")
    worst = np.max(np.abs(found - right), initial=0.0)
    if not worst <= tolerance:
        raise Difference(f"{what}: off by {worst:.3g}, tolerance {tolerance:.3g}")


def equal(what, found, right):
    if found != right:
        raise Difference(f"{what}: {found!r}, not {right!r}")


def lengths_and_angles(vectors):
    a, b, c = vectors
    angle = lambda u, v: np.degrees(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)))
    return [np.linalg.norm(v) for v in vectors] + [angle(b, c), angle(a, c), angle(a, b)]


def standard_vectors(cell):
    """Lattice vectors of lengths and angles: a along x, b in the xy plane (any crystallography text)."""
    a, b, c = cell[:3]
    alpha, beta, gamma = np.radians(cell[3:])
    x = np.cos(beta)
    y = (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
    return np.array(
        [
            [a, 0, 0],
            [b * np.cos(gamma), b * np.sin(gamma), 0],
            [c * x, c * y, c * np.sqrt(1 - x * x - y * y)],
        ]
    )


def for_gromacs(vectors, periodic):
    """The same lattice, no vector leaning over an earlier one by more than half (GROMACS' manual)."""
    vectors = vectors.copy()
    for k, l in (2, 1), (2, 0), (1, 0):
        times = vectors[k, l] / vectors[l, l]
        if periodic[l] and abs(times) > 0.5 + 1e-5:
            vectors[k] -= round(times) * vectors[l]
    return vectors


def molecules(positions, vectors, periodic, radii):
    """Groups of atoms bonded to each other, directly or not: pairs nearer than their radii and 0.4 A.

    Yields (atoms, offsets): lattice vectors that make the group whole, the first atom at rest. Groups
    that are bonded to their own image have no end and are left out.
    """
    inverse = np.linalg.inv(vectors)
    steps = [(-1, 0, 1) if p else (0,) for p in periodic]
    around = np.array(np.meshgrid(*steps)).reshape(3, -1).T
    bonds = [[] for _ in positions]
    for i, j in zip(*np.triu_indices(len(positions))):
        if radii[i] is None or radii[j] is None:
            continue
        apart = positions[j] - positions[i]
        images = around - np.where(periodic, np.round(apart @ inverse), 0)
        near = np.linalg.norm(apart + images @ vectors, axis=1) < radii[i] + radii[j] + 0.4
        for image in images[near]:
            if i != j or np.any(image != 0):
                bonds[i].append((j, image))
                bonds[j].append((i, -image))
    offset = {}
    for start in range(len(positions)):
        if start in offset:
            continue
        offset[start], members, endless = np.zeros(3), [start], False
        for i in members:
            for j, image in bonds[i]:
                if j not in offset:
                    offset[j] = offset[i] + image
                    members.append(j)
                endless |= bool(np.any(offset[j] != offset[i] + image))
        if not endless:
            yield members, np.array([offset[i] for i in members]) @ vectors


class Expected:
    """What a file should hold: positions [frames, atoms, 3] (A), cell (lengths, angles) or None."""

    def __init__(self, case):
        self.radii = case["radii"]
        self.positions = np.array(case["positions"])
        self.times = np.array(case["times_fs"]) / 1000.0
        self.cell = self.vectors = None
        self.periodic = np.array(case["periodic"])
        self.wrap = case["wrap"]
        if not self.periodic.any():
            return
        vectors = np.array(case["vectors"])
        if case["format"] == "xyz":
            self.vectors = vectors
            return
        if np.linalg.det(vectors) < 0:
            vectors[2] *= -1
        fractional = self.positions @ np.linalg.inv(vectors)
        self.cell = np.array(lengths_and_angles(vectors))
        self.vectors = standard_vectors(self.cell)
        self.positions = fractional @ self.vectors
        if case["format"] == "xtc":
            self.vectors = for_gromacs(self.vectors, self.periodic)
            self.cell = np.array(lengths_and_angles(self.vectors))

    def check_positions(self, found, tolerance):
        right = self.positions
        if self.wrap and self.vectors is not None:
            # Whole lattice vectors away from where it was.
            inverse = np.linalg.inv(self.vectors)
            moved = np.round((found - right) @ inverse)
            moved[..., ~self.periodic] = 0
            for before, after in zip(right, np.asarray(found, float)):
                self.check_molecules(before, after, inverse, tolerance)
            right = right + moved @ self.vectors
        same("positions", found, right, tolerance)

    def check_molecules(self, before, after, inverse, tolerance):
        """Molecules are whole, their centres inside the cell; single atoms are in [0, 1)."""
        for atoms, offsets in molecules(before, self.vectors, self.periodic, self.radii):
            whole = before[atoms] + offsets
            same("a molecule", after[atoms] - after[atoms[0]], whole - whole[0], 2 * tolerance)
            slack = tolerance * np.max(np.linalg.norm(inverse, axis=0)) if len(atoms) > 1 else 0.0
            centre = (np.mean(after[atoms], axis=0) @ inverse)[self.periodic]
            # Of a skewed cell fractional coordinates are sums, with f32's rounding in them.
            if np.any(centre < -slack - 1e-6) or np.any(centre >= 1 + slack):
                raise Difference("positions: not wrapped")

    def check_cell(self, found):
        if self.cell is None:
            if found is not None and np.any(np.asarray(found)[:3] != 0):
                raise Difference(f"cell: {found}, though there is none")
            return
        if found is None:
            raise Difference("cell: none")
        same("cell lengths", found[:3], self.cell[:3], LENGTH)
        same("cell angles", found[3:], self.cell[3:], ANGLE)


def by_mdanalysis(case, right, tolerance):
    universe = MDAnalysis.Universe(case["topology"], case["file"])
    equal("frames", universe.trajectory.n_frames, len(right.times))
    equal("elements", [e.capitalize() for e in universe.atoms.elements], case["symbols"])
    right.check_positions([ts.positions.copy() for ts in universe.trajectory], tolerance)
    if case["format"] == "xyz":
        return
    for ts, time in zip(universe.trajectory, right.times):
        right.check_cell(ts.dimensions)
        same("time", ts.time, time, TIME)
    same("time step", universe.trajectory.dt, right.times[1] - right.times[0], TIME)


def by_mdtraj(case, right, tolerance):
    read = mdtraj.load(case["file"], top=case["topology"])
    equal("frames", read.n_frames, len(right.times))
    equal("elements", [a.element.symbol for a in read.topology.atoms], case["symbols"])
    right.check_positions(10.0 * read.xyz.astype(float), tolerance)
    if case["format"] == "xyz":
        return
    for k in range(read.n_frames):
        cell = None
        if read.unitcell_lengths is not None:
            cell = np.concatenate([10.0 * read.unitcell_lengths[k], read.unitcell_angles[k]])
        right.check_cell(cell)
    # mdtraj does not look at the times of a DCD.
    if case["format"] == "xtc":
        same("times", read.time, right.times, TIME)
        same("time step", read.timestep, right.times[1] - right.times[0], TIME)


def by_ase(case, right, _):
    frames = ase.io.read(case["file"], index=":")
    equal("frames", len(frames), len(right.times))
    tolerance = 1e-12 if case["wrap"] else 0.0
    right.check_positions([atoms.positions for atoms in frames], tolerance)
    for k, atoms in enumerate(frames):
        equal("symbols", atoms.get_chemical_symbols(), case["symbols"])
        equal("pbc", list(atoms.pbc), case["periodic"])
        vectors = np.zeros((3, 3)) if case["vectors"] is None else case["vectors"]
        same("cell", atoms.cell.array, vectors, 0.0)
        equal("energy", atoms.get_potential_energy(), case["energies"][k])
        equal("step", atoms.info["step"], case["steps"][k])
        same("time", atoms.info["time"], case["times_fs"][k], 1e-9)
        same("masses", atoms.get_masses(), case["masses"], 0.0)
        # Written in A/fs and, as momenta, in ASE's own unit: ASE knows how the two compare, from
        # its own constants (CODATA 2014, 1e-8 away from those of today).
        velocities = np.array(case["velocities_a_fs"][k])
        same("velo", atoms.arrays["velo"], velocities, 1e-15)
        same("velocities", atoms.get_velocities() * ase.units.fs, velocities, 1e-7)
        same("forces", atoms.get_forces(), case["forces"][k], 0.0)
        if all(case["periodic"]):
            same("stress", atoms.get_stress(voigt=False), case["stress"], 0.0)


def check_topology(case):
    """A PDB by itself: counts, bonds, positions of all three."""
    universe = MDAnalysis.Universe(case["file"])
    equal("MDAnalysis atoms", len(universe.atoms), case["atoms"])
    equal("MDAnalysis residues", len(universe.residues), case["residues"])
    if case["bonds"] is not None:
        equal("MDAnalysis bonds", len(universe.bonds), case["bonds"])
    read = mdtraj.load(case["file"])
    equal("mdtraj atoms", read.n_atoms, case["atoms"])
    equal("mdtraj residues", read.n_residues, case["residues"])
    equal("mdtraj bonds", read.topology.n_bonds, case["mdtraj_bonds"])
    atoms = ase.io.read(case["file"])
    equal("ASE atoms", len(atoms), case["atoms"])
    last = case["last_position"]
    same("MDAnalysis position", universe.atoms.positions[-1], last, TOLERANCE["pdb"])
    same("mdtraj position", 10 * read.xyz[0, -1], last, TOLERANCE["pdb"])
    same("ASE position", atoms.positions[-1], last, TOLERANCE["pdb"])
    cell = case["cell"]
    same("MDAnalysis cell", universe.dimensions, cell, 0.005)
    same("mdtraj cell", 10 * read.unitcell_lengths[0], cell[:3], 0.005)
    same("ASE cell", atoms.cell.cellpar(), cell, 0.005)


def check_names(case):
    """What atoms are called in a PDB, by what two programs make of it, and by selections."""
    universe = MDAnalysis.Universe(case["file"])
    atoms = universe.atoms
    read = mdtraj.load_pdb(case["file"], standard_names=False).topology
    for what, by_one, by_other in (
        ("names", atoms.names, [a.name for a in read.atoms]),
        ("residues", atoms.resnames, [a.residue.name for a in read.atoms]),
        ("numbers", atoms.resids, [a.residue.resSeq for a in read.atoms]),
        ("chains", atoms.chainIDs, [a.residue.chain.chain_id for a in read.atoms]),
    ):
        equal(f"MDAnalysis {what}", list(by_one), case[what])
        equal(f"mdtraj {what}", list(by_other), case[what])
    equal("record types", list(atoms.record_types), case["records"])
    equal("mdtraj chains", read.n_chains, case["chain_count"])
    selected = universe.select_atoms("name CA and resname ALA and resid 5")
    equal("MDAnalysis selection", list(selected.indices), case["selected"])
    selected = read.select("name CA and resname ALA and residue 5")
    equal("mdtraj selection", list(selected), case["selected"])


def check(case):
    if case["format"] == "names":
        check_names(case)
        return
    if case["format"] == "pdb":
        check_topology(case)
        return
    right = Expected(case)
    small = case["format"] == "xtc" and len(case["symbols"]) <= 9
    tolerance = TOLERANCE[case["format"] + ("-small" if small else "")]
    readers = [by_mdanalysis, by_mdtraj]
    # ASE reads neither XTC nor a DCD of another program than CP2K.
    if case["format"] == "xyz":
        readers.append(by_ase)
    for reader in readers:
        try:
            reader(case, right, tolerance)
        except Difference as difference:
            raise Difference(f"{reader.__name__}: {difference}") from None


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    failures = 0
    for case in cases:
        try:
            check(case)
            difference = None
        except Difference as found:
            difference = found
        if (difference is None) == case["wrong"]:
            failures += 1
            print(f"FAILED {case['name']}: {difference or 'the difference was not found'}")
    print(f"{len(cases) - failures} of {len(cases)} files as they should be")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
