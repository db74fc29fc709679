"""Compares what `mdrun analyze` finds with MDAnalysis, pymbar and numpy, on the same trajectories.

usage: analysis.py MDRUN FOLDER water|molecule

Runs a short simulation in FOLDER, analyses it, and measures everything again. Exit code 1 if a figure is off by more than its
tolerance.
"""

import csv
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")

import MDAnalysis  # noqa: E402
from MDAnalysis.analysis import lineardensity, msd, rdf  # noqa: E402
from MDAnalysis.lib import distances  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
# Of the largest value. MDAnalysis keeps positions and boxes as f32, of which a coordinate of 20 A holds 1e-6 A.
RELATIVE = 1e-4
# Pairs that rounding puts into another shell, of all pairs.
MOVED = 1e-4


def run(mdrun, *args):
    done = subprocess.run([mdrun, *map(str, args)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def table(path):
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    columns = list(zip(*rows[1:]))
    number = lambda cell: float(cell) if cell else np.nan
    numeric = lambda column: column if column[0] in "abc" else np.array([number(c) for c in column])
    return {name: numeric(column) for name, column in zip(rows[0], columns)}


def same(what, found, right, tolerance=RELATIVE):
    found, right = np.asarray(found, float), np.asarray(right, float)
    assert found.shape == right.shape, f"{what}: shape {found.shape}, not {right.shape}"
    scale = np.max(np.abs(right))
    off = np.max(np.abs(found - right)) / scale
    print(f"{what}: off by {off:.1e} of {scale:.4g}")
    assert scale > 0 and off <= tolerance, f"{what}: off by {off:.3g} of {scale:.3g}, tolerance {tolerance}"


def radial(universe, found):
    """g of every pair of elements, and numbers of neighbours."""
    half = 0.5 * min(universe.dimensions[:3])
    edge = min(half, 15.0)
    bins = len(found["r_a"])
    for a, b in [("H", "H"), ("H", "O"), ("O", "O")]:
        groups = [universe.select_atoms(f"element {e}") for e in (a, b)]
        own = rdf.InterRDF(*groups, nbins=bins, range=(0.0, edge), exclusion_block=(1, 1) if a == b else None)
        own.run()
        right = own.results.rdf
        # Where rounding moves one pair over an edge, a shell of few pairs changes by more than 1e-4 of itself.
        counts = own.results.count
        ours = np.where(right > 0, found[f"g_{a}_{b}"] / np.where(right > 0, right, 1) * counts, 0)
        moved = np.sum(np.abs(ours - counts)) / np.sum(counts)
        print(f"g {a}-{b}: {moved:.1e} of {np.sum(counts):.0f} pairs elsewhere")
        assert moved <= MOVED and np.max(np.abs(ours - counts)) < 4, f"g {a}-{b}: {moved}"
        same(f"g {a}-{b}, integral", np.sum(found[f"g_{a}_{b}"]), np.sum(right))
        frames = len(universe.trajectory)
        around = np.cumsum(counts) / frames / len(groups[0])
        same(f"{b} around {a}", found[f"{b}_around_{a}"], around)
    return half


def displacements(universe, found, spacing):
    """Mean squared displacements at the lags that every frame begins."""
    for name, select in [("all", "all"), ("O", "element O"), ("H", "element H")]:
        own = msd.EinsteinMSD(universe, select=select, msd_type="xyz", fft=False)
        own.run()
        lags = np.rint(found["lag_ps"] / spacing).astype(int)
        first = lags <= 64
        assert np.sum(first) >= 30
        same(f"msd {name}", found[f"msd_{name}_a2"][first], own.results.timeseries[lags[first]])


def profiles(universe, found):
    """Mass density along the axes of a cube."""
    # It asks for charges as well.
    universe.add_TopologyAttr("charges", np.zeros(len(universe.atoms)))
    own = lineardensity.LinearDensity(universe.atoms, grouping="atoms", binsize=0.25)
    own.run()
    axes = np.array(found["axis"])
    for ours, theirs in zip("abc", "xyz"):
        mine = found["density_g_cm3"][axes == ours]
        right = own.results[theirs].mass_density
        # An atom on the edge of a slab may be in the next one, of 100 frames of 192 atoms.
        same(f"density along {ours}", mine, right, 2e-3)
        same(f"density along {ours}, mean", np.mean(mine), np.mean(right))


def hydrogen_bonds(universe, figures, found):
    """Luzar and Chandler's bonds: O-O below 3.5 A, H-O...O below 30 degrees at the donor."""
    oxygen = universe.select_atoms("element O")
    counts = []
    for frame in universe.trajectory:
        pairs = distances.self_capped_distance(oxygen.positions, 3.5, box=frame.dimensions, return_distances=False)
        count = 0
        for i, j in pairs:
            for donor, acceptor in [(oxygen[i], oxygen[j]), (oxygen[j], oxygen[i])]:
                # Water's hydrogens follow their oxygen.
                for h in (donor.index + 1, donor.index + 2):
                    angle = distances.calc_angles(
                        universe.atoms[h].position, donor.position, acceptor.position, box=frame.dimensions
                    )
                    count += np.degrees(angle) < 30.0
        counts.append(count)
    same("hydrogen bonds", found["hydrogen_bonds"], counts)
    same("hydrogen bonds, mean", figures["hbonds"]["per_frame"], np.mean(counts))


def coordinates(universe, figures, bonds, angles, torsions=()):
    """Means and deviations of bonds and angles, and a histogram of torsions."""
    values = {"bonds": {}, "angles": {}, "torsions": {}}
    name = lambda indices: min("-".join(universe.atoms[i].element for i in order) for order in (indices, indices[::-1]))
    measure = {"bonds": distances.calc_bonds, "angles": distances.calc_angles, "torsions": distances.calc_dihedrals}
    for frame in universe.trajectory:
        box = frame.dimensions if frame.dimensions is not None and frame.dimensions[0] > 0 else None
        for kind, lists in [("bonds", bonds), ("angles", angles), ("torsions", torsions)]:
            for indices in lists:
                value = measure[kind](*(frame.positions[i] for i in indices), box=box)
                value = value if kind == "bonds" else np.degrees(value)
                values[kind].setdefault(name(list(indices)), []).append(value)
    for kind in ("bonds", "angles"):
        found = {one["kind"]: one for one in figures[kind]["kinds"]}
        assert sorted(found) == sorted(values[kind]), (sorted(found), sorted(values[kind]))
        for key, all_values in values[kind].items():
            same(f"{kind} {key}", found[key]["mean"], np.mean(all_values))
            same(f"{kind} {key}, deviation", found[key]["standard_deviation"], np.std(all_values, ddof=1), 1e-3)
    return values["torsions"]


def vibrations(frames, masses, found, spectrum, spacing, freedom):
    """Velocity autocorrelation and spectrum of one window, by sums and by numpy's transform."""
    velocity = np.array(frames) * np.sqrt(masses)[None, :, None]
    length = len(velocity)
    direct = [np.sum(velocity[: length - lag] * velocity[lag:]) / (length - lag) for lag in range(length // 2 + 1)]
    same("vacf", found["all"], np.array(direct) / direct[0], 1e-9)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    size = 1 << (length - 1).bit_length()
    power = np.abs(np.fft.rfft(velocity * hann[:, None, None], n=size, axis=0)) ** 2
    power = power.sum(axis=(1, 2))
    power[1:-1] *= 2
    wavenumber = np.fft.rfftfreq(size, spacing * 1e-12) / 2.99792458e10
    same("wavenumbers", spectrum["wavenumber_per_cm"], wavenumber, 1e-9)
    same("spectrum", spectrum["all"], freedom * power / power.sum() / wavenumber[1], 1e-9)
    same("integral of the spectrum", np.sum(spectrum["all"]) * wavenumber[1], freedom, 1e-9)


def equilibrium(path, figures):
    """Where thermo columns come to equilibrium, by pymbar; their means from there on."""
    from pymbar import timeseries

    thermo = table(path)
    telling = ["potential_energy_ev", "temperature_k", "pressure_bar", "volume_a3"]
    rows = len(thermo["time_fs"])
    stride = max(1, -(-rows // 200))
    starts = []
    for name in telling:
        if name in thermo and np.ptp(thermo[name]) > 0:
            start, _, most = timeseries.detect_equilibration(thermo[name], fast=False, nskip=stride)
            starts.append(start)
    found = figures["thermo"]["equilibrium_fs"]
    right = thermo["time_fs"][max(starts)]
    print(f"equilibrium from {found} fs, by pymbar {right} fs")
    assert found == right, (found, right)
    for column in figures["thermo"]["columns"]:
        values = thermo[column["column"]][thermo["time_fs"] >= found]
        same(f"mean {column['column']}", column["mean"], np.mean(values), 1e-9)
        same(f"deviation {column['column']}", column["standard_deviation"], np.std(values, ddof=1), 1e-6)
        assert column["samples"] == len(values)


def read_velocities(path, atoms):
    """Velocities (A/fs) and masses of an extended XYZ with columns species, pos, velo, momenta, masses."""
    frames, lines = [], open(path).read().splitlines()
    for at in range(0, len(lines), atoms + 2):
        rows = [line.split() for line in lines[at + 2 : at + 2 + atoms]]
        frames.append([[float(x) for x in row[4:7]] for row in rows])
    return frames, np.array([float(row[10]) for row in rows])


def water(mdrun, folder):
    out = folder / "water"
    trajectories = '{format="dcd",every=5},{format="xyz",every=5,fields=["velocities"]}'
    settings = ["dynamics.steps=500", "output.thermo_every=2", f"output.trajectory=[{trajectories}]", 'device.kind="cpu"']
    sets = [word for setting in settings for word in ("--set", setting)]
    # Steps stand in the place of the duration.
    run(mdrun, "configs/water_nve.toml", *sets, "--out", out, "-q")
    figures = json.loads(run(mdrun, "analyze", out, "--json", "--trajectory", "traj.dcd", "--what",
                             "thermo,rdf,msd,density,hbonds,bonds,angles"))["findings"]
    universe = MDAnalysis.Universe(str(out / "topology.pdb"), str(out / "traj.dcd"))
    universe.add_TopologyAttr("masses", [{"H": 1.008, "O": 15.999}[e] for e in universe.atoms.elements])
    assert len(universe.trajectory) == 101
    files = out / "analysis"
    radial(universe, table(files / "rdf.csv"))
    displacements(universe, table(files / "msd.csv"), 5 * 0.5e-3)
    profiles(universe, table(files / "density.csv"))
    hydrogen_bonds(universe, figures, table(files / "hbonds.csv"))
    oxygens = [i for i in range(len(universe.atoms)) if universe.atoms[i].element == "O"]
    coordinates(universe, figures, [(i, i + k) for i in oxygens for k in (1, 2)], [(i + 1, i, i + 2) for i in oxygens])
    equilibrium(out / "thermo.csv", figures)
    # A window of all frames, at a resolution of theirs.
    spacing = 2.5e-3
    resolution = 1 / (2.99792458e10 * 100.5 * spacing * 1e-12)
    figures = json.loads(run(mdrun, "analyze", out, "--json", "--what", "vacf,spectrum", "--resolution", resolution))["findings"]
    velocities, masses = read_velocities(out / "traj.xyz", 192)
    vibrations(velocities, masses, table(files / "vacf.csv"), table(files / "spectrum.csv"), spacing, 3 * 192 - 3)


def molecule(mdrun, folder):
    out = folder / "molecule"
    settings = ['dynamics.duration="200 fs"', 'output.trajectory=[{format="dcd",every=2}]', 'device.kind="cpu"']
    sets = [word for setting in settings for word in ("--set", setting)]
    run(mdrun, "configs/ethanol_nve.toml", *sets, "--out", out, "-q")
    figures = json.loads(run(mdrun, "analyze", out, "--json", "--what", "bonds,angles,torsions"))["findings"]
    universe = MDAnalysis.Universe(str(out / "topology.pdb"), str(out / "traj.dcd"))
    # The bonds of the first frame, from the sum of covalent radii (Cordero 2008) and 0.4 A.
    radius = {"H": 0.31, "C": 0.76, "O": 0.66}
    atoms = universe.atoms
    near = lambda i, j: np.linalg.norm(atoms[i].position - atoms[j].position) < (
        radius[atoms[i].element] + radius[atoms[j].element] + 0.4)
    universe.trajectory[0]
    bonded = {i: [j for j in range(len(atoms)) if j != i and near(i, j)] for i in range(len(atoms))}
    bonds = [(i, j) for i in bonded for j in bonded[i] if i < j]
    angles = [(a, b, c) for b in bonded for a in bonded[b] for c in bonded[b] if a < c]
    torsions = [(a, b, c, d) for b, c in bonds for a in bonded[b] for d in bonded[c] if a != c and d not in (a, b)]
    values = coordinates(universe, figures, bonds, angles, torsions)
    found = table(out / "analysis" / "torsions.csv")
    assert sorted(values) == sorted(name for name in found if name != "degrees")
    for name, all_values in values.items():
        low, high = found["degrees"][0] - 1, found["degrees"][-1] + 1
        right, _ = np.histogram(all_values, bins=len(found["degrees"]), range=(low, high), density=True)
        # Values that rounding moves over an edge: of some thousand one or two.
        moved = np.sum(np.abs(found[name] - right)) / np.sum(right)
        print(f"torsions {name}: {moved:.1e} of {len(all_values)} elsewhere")
        assert moved < 2 / len(all_values) + 1e-9, (name, moved)


if __name__ == "__main__":
    {"water": water, "molecule": molecule}[sys.argv[3]](sys.argv[1], Path(sys.argv[2]))
