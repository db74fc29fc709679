"""Compares runs at constant temperature and pressure with other programs.

usage: ensembles.py MDRUN FOLDER lammps | physical_validation | chains | literature

MDRUN is the binary, FOLDER is where runs are written. Each comparison prints value, error and the deviation in standard
errors; the fluid is argon as in configs/argon_nve.toml unless a comparison says otherwise. Runs are seeded, so that the
same binaries give the same figures.

Exit code 1 if anything deviates by MOST_ERRORS standard errors or more.
"""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Deviation that a comparison may not reach, in standard errors of both sides together.
MOST_ERRORS = 3.0

# The potential and the mass of argon: eV, angstrom, u.
EPSILON, SIGMA, MASS = 0.0103408, 3.405, 39.948
# The switch begins at this part of the cutoff.
SWITCH_ON = 0.8
# Boltzmann's constant (eV/K) and the elementary charge (C) of the SI; bar in eV / angstrom^3; u / angstrom^3 in g / cm^3.
KB = 8.617333262e-5
BAR = 1e-25 / 1.602176634e-19
G_CM3 = 1.66053906892

TIMESTEP = 0.004  # ps
# Steps between two samples where a state says nothing.
EVERY = 10
# Blocks that a series is cut into; each is many times as long as the memory of the volume (1 to 2 ps).
BLOCKS = 16
# Time left out in the beginning, in which the lattice melts and the cell finds its size (ps).
SETTLE = 40.0


class State(NamedTuple):
    """A run: what it is called and all that its run file depends on."""

    name: str
    ensemble: str
    temperature: float  # K
    pressure: float  # bar
    thermostat: str = "csvr"
    cells: int = 4  # face-centred cubic cells along an edge
    density: float = 1.374  # of the lattice that it starts from (g / cm^3)
    cutoff: float = 10.0  # angstrom
    skin: float = 0.8  # angstrom
    every: int = 10  # steps between two rescalings of the cell
    sample: int = EVERY  # steps between two samples
    duration: float = 340.0  # ps, with SETTLE
    seed: int = 1

    @property
    def atoms(self):
        return 4 * self.cells**3

    @property
    def edge(self):
        return (self.atoms * MASS * G_CM3 / self.density) ** (1 / 3)


def pair(r, cutoff):
    """Energy (eV) and force -du/dr (eV / angstrom) of the switched Lennard-Jones potential at distances r (angstrom)."""
    energy, slope = full_pair(r)
    width = (1 - SWITCH_ON) * cutoff
    x = np.clip((r - SWITCH_ON * cutoff) / width, 0, 1)
    switch = 1 - 10 * x**3 + 15 * x**4 - 6 * x**5
    switch_slope = -30 * x**2 * (1 - x) ** 2 / width
    return energy * switch, -(slope * switch + energy * switch_slope)


def full_pair(r):
    """Energy (eV) and slope (eV / angstrom) of the whole 12-6 potential."""
    sixth = (SIGMA / r) ** 6
    return 4 * EPSILON * sixth * (sixth - 1), -24 * EPSILON * sixth * (2 * sixth - 1) / r


# Runs of mdrun


def write_lattice(path, state):
    corners = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]) + 0.25
    cells = np.array(list(np.ndindex(*[state.cells] * 3)))
    positions = (cells[:, None] + corners).reshape(-1, 3) * (state.edge / state.cells)
    edge = f"{state.edge:.9f}"
    lattice = f"{edge} 0 0 0 {edge} 0 0 0 {edge}"
    rows = [f"Ar {x:.9f} {y:.9f} {z:.9f}" for x, y, z in positions]
    head = f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T"'
    path.write_text("\n".join([str(state.atoms), head, *rows]) + "\n")


def dynamics(state):
    """The keys of [dynamics] that differ between ensembles."""
    bath = {"csvr": 'relaxation = "0.2 ps"', "langevin": 'friction = "2 1/ps"'}[state.thermostat]
    if state.ensemble == "csvr":
        return bath
    if state.ensemble == "nose_hoover":
        return 'relaxation = "0.2 ps"'
    if state.ensemble == "mtk":
        return f'''relaxation = "0.2 ps"
pressure = "{state.pressure!r} bar"
barostat_relaxation = "0.5 ps"'''
    return f"""{bath}
thermostat = "{state.thermostat}"
pressure = "{state.pressure!r} bar"
barostat_relaxation = "0.5 ps"
compressibility = "3e-4 1/bar"
barostat_every = {state.every}"""


def run(mdrun, folder, state):
    """The columns of thermo.csv after SETTLE, by name."""
    structure = folder / f"{state.name}.xyz"
    write_lattice(structure, state)
    file = folder / f"{state.name}.toml"
    noise = "" if state.ensemble in ("nose_hoover", "mtk") else f"seed = {state.seed}\n"
    file.write_text(
        f"""[system]
structure = "{structure}"
velocities = {{ temperature = "300 K", seed = {state.seed} }}
masses = {{ Ar = "{MASS} u" }}
[potential.lennard_jones]
epsilon = "{EPSILON} eV"
sigma = "{SIGMA} A"
cutoff = "{state.cutoff} A"
[dynamics]
ensemble = "{state.ensemble}"
temperature = "{state.temperature!r} K"
{dynamics(state)}
{noise}timestep = "{TIMESTEP} ps"
duration = "{state.duration} ps"
skin = "{state.skin} A"
[output]
directory = "{folder / state.name}"
thermo_every = {state.sample}
[device]
kind = "cpu"
"""
    )
    # Runs of so few atoms are best side by side, each on one core.
    one = dict(os.environ, RAYON_NUM_THREADS="1")
    done = subprocess.run([mdrun, "--quiet", "--force", file], env=one, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"mdrun {file} ended with {done.returncode}:\n{done.stderr}")
    columns = np.genfromtxt(folder / state.name / "thermo.csv", delimiter=",", names=True)
    return columns[columns["time_fs"] > 1000 * SETTLE]


def together(tasks):
    """Results of functions by name, as many at once as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = {name: pool.submit(*task) for name, task in tasks.items()}
        return {name: future.result() for name, future in futures.items()}


# Statistics


def mean_and_error(series):
    """Mean of a series and its standard error from block averages."""
    length = len(series) // BLOCKS
    blocks = np.reshape(series[len(series) - BLOCKS * length :], (BLOCKS, length)).mean(axis=1)
    return blocks.mean(), blocks.std(ddof=1) / np.sqrt(BLOCKS)


class Report:
    """Prints comparisons and remembers whether all of them hold."""

    def __init__(self):
        self.sound = True

    def deviation(self, what, off):
        """Judges a deviation in standard errors. NaN does not hold."""
        holds = abs(off) < MOST_ERRORS
        self.sound &= bool(holds)
        print(f"{what}: {off:+.2f} standard errors{'' if holds else ' TOO FAR'}", flush=True)

    def compare(self, what, ours, theirs, unit):
        (a, a_error), (b, b_error) = ours, theirs
        text = f"{what}: {a:.5f} +- {a_error:.5f}, not ours {b:.5f} +- {b_error:.5f} {unit}"
        self.deviation(text, (a - b) / np.hypot(a_error, b_error))


# Comparisons


def lammps_run(folder, state):
    """Densities (g / cm^3) that LAMMPS finds with the potential as a table, its own barostat and thermostat."""
    folder = folder / f"lammps_{state.name}"
    folder.mkdir(exist_ok=True)
    r = np.linspace(2.0, state.cutoff, 8001)
    energy, force = pair(r, state.cutoff)
    rows = [f"{k + 1} {x:.10f} {u:.15e} {f:.15e}" for k, (x, u, f) in enumerate(zip(r, energy, force))]
    head = f"SWITCHED\nN {len(r)} R {r[0]} {r[-1]}\n\n"
    (folder / "table.txt").write_text(head + "\n".join(rows) + "\n")
    steps = round(state.duration / TIMESTEP)
    (folder / "in.npt").write_text(
        f"""units metal
atom_style atomic
boundary p p p
lattice fcc {state.edge / state.cells:.9f}
region box block 0 {state.cells} 0 {state.cells} 0 {state.cells}
create_box 1 box
create_atoms 1 box
mass 1 {MASS}
pair_style table linear 20000
pair_coeff 1 1 table.txt SWITCHED {state.cutoff}
neighbor 1.0 bin
neigh_modify delay 0 every 1 check yes
velocity all create 300 {1000 + state.seed} mom yes rot no dist gaussian
timestep {TIMESTEP}
fix npt all npt temp {state.temperature!r} {state.temperature!r} 0.2 iso {state.pressure!r} {state.pressure!r} 1.0
variable v equal vol
fix volumes all ave/time {EVERY} 1 {EVERY} v_v file volumes.txt format " %.10g"
thermo 10000
run {steps}
"""
    )
    command = ["lmp", "-in", "in.npt", "-screen", "none"]
    one = dict(os.environ, OMP_NUM_THREADS="1")
    done = subprocess.run(command, cwd=folder, env=one, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"LAMMPS ended with {done.returncode}; see {folder}/log.lammps\n{done.stderr}")
    step, volume = np.loadtxt(folder / "volumes.txt").T
    return density(state, volume[step * TIMESTEP > SETTLE])


def density(state, volume):
    return state.atoms * MASS * G_CM3 / volume


def lammps_checks(mdrun, folder, report):
    """The density of a liquid and of a supercritical fluid, with the same potential in LAMMPS."""
    version = re.search(r"Simulator - (.*)", subprocess.run(["lmp", "-h"], capture_output=True, text=True).stdout)
    print("LAMMPS", version[1] if version else "of an unknown version")
    states = [
        State("liquid", "npt", 100.0, 100.0, seed=41),
        State("supercritical", "npt", 180.0, 500.0, seed=42),
    ]
    tasks = {("lammps", s.name): (lammps_run, folder, s) for s in states}
    tasks |= {("mdrun", s.name): (run, mdrun, folder, s) for s in states}
    found = together(tasks)
    for s in states:
        ours = density(s, found["mdrun", s.name]["volume_a3"])
        what = f"density of {s.atoms} atoms at {s.temperature:.0f} K and {s.pressure:.0f} bar"
        theirs = found["lammps", s.name]
        report.compare(what, mean_and_error(ours), mean_and_error(theirs), "g/cm^3")


def as_simulation(state, columns):
    """A run as physical_validation sees it, at constant pressure or constant volume."""
    import physical_validation as pv

    # In units of GROMACS: kJ/mol, nm, K, bar, ps.
    units = pv.data.UnitData(
        kb=KB,
        energy_conversion=96.48533212,
        length_conversion=0.1,
        volume_conversion=1e-3,
        temperature_conversion=1.0,
        pressure_conversion=1.0,
        time_conversion=1e-3,
    )
    own = {"natoms": state.atoms, "temperature": state.temperature}
    kinetic = {"potential_energy": columns["potential_energy_ev"], "kinetic_energy": columns["kinetic_energy_ev"]}
    if state.ensemble in ("npt", "mtk"):
        ensemble = pv.data.EnsembleData("NPT", pressure=state.pressure, **own)
        observables = pv.data.ObservableData(volume=columns["volume_a3"], **kinetic)
    else:
        ensemble = pv.data.EnsembleData("NVT", volume=state.edge**3, **own)
        observables = pv.data.ObservableData(**kinetic)
    # Of atoms alone, whose centre of mass is at rest.
    system = pv.data.SystemData(natoms=state.atoms, nconstraints=0, ndof_reduction_tra=3, ndof_reduction_rot=0)
    return pv.data.SimulationData(units=units, ensemble=ensemble, observables=observables, system=system)


def physical_validation_checks(mdrun, folder, report):
    """Ratios of the distributions of neighbouring states: of volumes at two pressures, of enthalpies at two temperatures."""
    from physical_validation.ensemble import check

    base = State("", "npt", 120.0, 300.0, cells=3, cutoff=8.0, skin=1.2, sample=50, duration=2000.0 + SETTLE)
    # Neighbours so far that the ratio changes by a few e over the width of the distributions.
    neighbours = {"volumes": {"pressure": 500.0}, "enthalpies": {"temperature": 132.0}}
    states = {}
    for seed, thermostat in enumerate(["csvr", "langevin"]):
        for k, (name, change) in enumerate([("", {}), *neighbours.items()]):
            own = {"name": f"{thermostat}_{name}", "thermostat": thermostat, "seed": 51 + 3 * seed + k}
            states[thermostat, name] = base._replace(**own, **change)
    found = together({key: (run, mdrun, folder, state) for key, state in states.items()})
    seen = {key: as_simulation(state, found[key]) for key, state in states.items()}
    for thermostat, name in states:
        if name:
            quantile = check(seen[thermostat, ""], seen[thermostat, name], bootstrap_seed=1, verbosity=0)
            report.deviation(f"physical_validation, {thermostat}, ratio of {name}", float(np.max(np.abs(quantile))))


# Temperature, density, pressure and its error (units of epsilon and sigma) of the whole Lennard-Jones fluid: NIST Standard
# Reference Simulation Website, Lennard-Jones fluid reference calculations, Monte Carlo with 500 atoms and long-range corrections.
NIST = [(0.85, 0.776, 6.7714e-3, 1.72e-3), (0.90, 0.820, 8.2386e-1, 2e-3)]


def missing_pressure(density, cutoff):
    """Pressure (eV / angstrom^3) that the switch leaves out at a number density (1 / angstrom^3) that is even beyond."""
    inner = np.linspace(SWITCH_ON * cutoff, cutoff, 20001)
    outer = np.geomspace(cutoff, 100 * cutoff, 20001)
    total = 0.0
    for r in (inner, outer):
        # No force is left of the switched potential beyond the cutoff.
        total += np.trapezoid(r**3 * (full_pair(r)[1] + np.where(r < cutoff, pair(r, cutoff)[1], 0.0)), r)
    return -2 / 3 * np.pi * density**2 * total


def literature_checks(mdrun, folder, report):
    """The density of the whole fluid at NIST's pressures, less what the switch leaves out."""
    states = {}
    for k, (kt, density, pressure, _) in enumerate(NIST):
        cutoff = 4 * SIGMA
        whole = pressure * EPSILON / SIGMA**3
        switched = whole - missing_pressure(density / SIGMA**3, cutoff)
        states[k] = State(
            f"nist_{k}",
            "npt",
            float(kt * EPSILON / KB),
            float(switched / BAR),
            cells=5,
            density=density * MASS * G_CM3 / SIGMA**3,
            cutoff=cutoff,
            skin=1.4,
            seed=61 + k,
        )
    found = together({k: (run, mdrun, folder, state) for k, state in states.items()})
    for k, (kt, expected, _, error) in enumerate(NIST):
        volume = found[k]["volume_a3"]
        mean, mean_error = mean_and_error(states[k].atoms * SIGMA**3 / volume)
        # The modulus K = kT V / var V makes of an error of the pressure one of the density, rho dP / K.
        modulus = kt * np.mean(volume) / SIGMA**3 / (np.var(volume) / SIGMA**6)
        theirs = (expected, expected * error / modulus)
        report.compare(f"density of the whole fluid at T = {kt}", (mean, mean_error), theirs, "sigma^-3")


def chain_checks(mdrun, folder, report):
    """Kinetic energies under chains of thermostats; ratios of neighbouring states, at constant volume and under a piston."""
    from physical_validation.ensemble import check
    from physical_validation.kinetic_energy import distribution

    base = State("", "mtk", 120.0, 300.0, cells=3, cutoff=8.0, skin=1.2, sample=50, duration=2000.0 + SETTLE, seed=81)
    states = {
        ("mtk", ""): base,
        ("mtk", "volumes"): base._replace(pressure=500.0, seed=82),
        ("mtk", "enthalpies"): base._replace(temperature=132.0, seed=83),
        ("nose_hoover", ""): base._replace(ensemble="nose_hoover", seed=84),
        ("nose_hoover", "energies"): base._replace(ensemble="nose_hoover", temperature=132.0, seed=85),
    }
    states = {key: state._replace(name="_".join(key)) for key, state in states.items()}
    found = together({key: (run, mdrun, folder, state) for key, state in states.items()})
    seen = {key: as_simulation(state, found[key]) for key, state in states.items()}
    for key, state in states.items():
        off = distribution(seen[key], strict=False, verbosity=0, bs_repetitions=200, bootstrap_seed=1)
        what = f"physical_validation, {key[0]} at {state.temperature:.0f} K and {state.pressure:.0f} bar, kinetic energy"
        report.deviation(f"{what}: mean", float(off[0]))
        report.deviation(f"{what}: width", float(off[1]))
    for ensemble, name in states:
        if name:
            quantile = check(seen[ensemble, ""], seen[ensemble, name], bootstrap_seed=1, verbosity=0)
            report.deviation(f"physical_validation, {ensemble}, ratio of {name}", float(np.max(np.abs(quantile))))


COMPARISONS = {
    "chains": chain_checks,
    "lammps": lammps_checks,
    "physical_validation": physical_validation_checks,
    "literature": literature_checks,
}


def main():
    mdrun, folder, name = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3]
    report = Report()
    COMPARISONS[name](mdrun, folder, report)
    sys.exit(not report.sound)


if __name__ == "__main__":
    main()
