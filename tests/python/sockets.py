"""Runs mdrun with i-PI and ASE, as others run it with them.

usage: sockets.py MDRUN FOLDER WHAT

MDRUN is the binary, FOLDER is where runs are written, WHAT is one of CHECKS. Each check prints what it has seen and what that may
be at most. Runs are seeded, so that the same programs give the same figures.

Exit code 1 if anything is too far off.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import ase.io
import ase.units
import numpy as np
from ase import Atoms
from ase.calculators.socketio import SocketIOCalculator

ROOT = Path(__file__).resolve().parents[2]
STRUCTURES = ROOT / "configs" / "structures"
MODEL = "painn_hcno_gfn2"

# Bohr (angstrom) and hartree (eV), CODATA 2022.
BOHR, HARTREE = 0.529177210544, 27.211386245981
# What i-PI takes for the masses (u).
MASSES = {"O": 15.9994, "H": 1.00794}

# Longest that a program of these may take (s).
PATIENCE = 7200.0


class Report:
    """Prints comparisons and remembers whether all of them hold."""

    def __init__(self):
        self.sound = True

    def most(self, what, found, bound, unit=""):
        """Holds that a figure is at most `bound`. NaN does not hold."""
        holds = bool(found <= bound)
        self.sound &= holds
        print(f"{what}: {found:.3g}, at most {bound:g} {unit}{'' if holds else ' TOO MUCH'}", flush=True)

    def between(self, what, found, least, most, unit=""):
        """Holds that a figure is in a range."""
        holds = bool(least <= found <= most)
        self.sound &= holds
        print(f"{what}: {found:.6g}, from {least:g} to {most:g} {unit}{'' if holds else ' OUTSIDE'}", flush=True)


# Programs


def unique(name):
    """A name for a socket that no other test has."""
    return f"mdrun_{name}_{os.getpid()}"


@contextmanager
def running(command, folder, name):
    """A program in the background, its output in a file; ended if it does not end by itself."""
    with open(folder / f"{name}.log", "w") as log:
        program = subprocess.Popen([str(c) for c in command], cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield program
            code = program.wait(PATIENCE)
            if code != 0:
                raise SystemExit(f"{name} ended with {code}:\n{(folder / f'{name}.log').read_text()[-3000:]}")
        finally:
            if program.poll() is None:
                program.kill()


def serve(mdrun, structure, address, *more):
    return [mdrun, "serve", "--model", MODEL, "--structure", structure, "--address", address, "--device", "cpu", "--wait", "300", *more]


def energy(mdrun, structure, *more):
    """What `mdrun energy` says of a structure."""
    command = [mdrun, "energy", "--model", MODEL, "--structure", structure, "--json", "--device", "cpu", *more]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def i_pi():
    """i-PI beside this Python."""
    return Path(sys.executable).with_name("i-pi")


# i-PI's input


def write_ipi_xyz(path, atoms, quantity="positions{angstrom}", vectors=None):
    """A file as i-PI reads them, at full precision."""
    edges = "  ".join(repr(float(x)) for x in atoms.cell.cellpar())
    vectors = atoms.positions if vectors is None else vectors
    rows = [f"{s} {x!r} {y!r} {z!r}" for s, (x, y, z) in zip(atoms.symbols, vectors.tolist())]
    head = f"# CELL(abcABC): {edges} {quantity} cell{{angstrom}}"
    path.write_text("\n".join([str(len(atoms)), head, *rows]) + "\n")


def simulation(
    name, steps, dynamics, properties, *, beads=1, batch=1, mode="unix", velocities="", temperature=300, pressure="", seed=1
):
    """An input of i-PI for the files init.xyz and velocities.xyz, with a client at the unix socket of this name."""
    velocities = velocities or f"<velocities mode='thermal' units='kelvin'>{temperature}</velocities>"
    columns = ", ".join(["step", "conserved", "potential", *properties])
    batching = f"<batch_size>{batch}</batch_size>" if batch > 1 else ""
    return f"""<simulation verbosity='low' safe_stride='1000000'>
  <output prefix='out'>
    <properties filename='properties' stride='1' flush='100'>[{columns}]</properties>
  </output>
  <total_steps>{steps}</total_steps>
  <prng><seed>{seed}</seed></prng>
  <ffsocket name='mdrun' mode='{mode}' pbc='false'><address>{name}</address><latency>1e-4</latency>{batching}</ffsocket>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='xyz'>init.xyz</file>
      {velocities}
    </initialize>
    <forces><force forcefield='mdrun'/></forces>
    <motion mode='dynamics'><dynamics {dynamics}</dynamics></motion>
    <ensemble><temperature units='kelvin'>{temperature}</temperature>{pressure}</ensemble>
  </system>
</simulation>
"""


def run_ipi(folder, text, client):
    """Runs i-PI with a client, both to their ends; the columns of its properties."""
    (folder / "input.xml").write_text(text)
    with running([i_pi(), "input.xml"], folder, "i-pi"), running(client, folder, "client"):
        pass
    return np.loadtxt(folder / "out.properties").T


class Tap:
    """Stands between a server and a client on unix sockets, and keeps the positions (angstrom) that the server sends."""

    def __init__(self, name):
        self.name, self.positions = name, []
        self.path = f"/tmp/ipi_{name}_tap"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        client, _ = self.listener.accept()
        os.unlink(self.path)
        server = socket.socket(socket.AF_UNIX)
        while server.connect_ex(f"/tmp/ipi_{self.name}") != 0:
            threading.Event().wait(0.05)
        threading.Thread(target=self.pass_back, args=(client, server), daemon=True).start()

        def take(count):
            data = b""
            while len(data) < count:
                part = server.recv(count - len(data))
                if not part:
                    raise EOFError
                data += part
            client.sendall(data)
            return data

        try:
            while True:
                header = take(12)
                if header == b"INIT        ":
                    take(int(np.frombuffer(take(8), np.int32)[1]))
                elif header == b"POSDATA     ":
                    atoms = int(np.frombuffer(take(144 + 4)[144:], np.int32)[0])
                    self.positions.append(np.frombuffer(take(24 * atoms)).reshape(atoms, 3) * BOHR)
        except (EOFError, OSError):
            client.close()

    @staticmethod
    def pass_back(client, server):
        try:
            while data := client.recv(1 << 16):
                server.sendall(data)
        except OSError:
            pass  # The other side has closed both.


# Checks


def water(folder, seed=1):
    """The shipped box of water with velocities (A/fs) of 300 K, written for mdrun and for i-PI."""
    atoms = ase.io.read(STRUCTURES / "water64.xyz")
    masses = np.array([MASSES[s] for s in atoms.symbols])
    kick = np.random.default_rng(seed).normal(size=(len(atoms), 3))
    # sqrt(kT/m) in A/fs: 1 u (A/fs)^2 is 103.642697 eV.
    kick *= np.sqrt(8.617333262e-5 * 300 / masses / 103.642697)[:, None]
    kick -= masses @ kick / masses.sum()
    rows = [
        f"{s} {' '.join(repr(float(x)) for x in [*r, *v])}" for s, r, v in zip(atoms.symbols, atoms.positions, kick)
    ]
    lattice = " ".join(repr(float(x)) for x in atoms.cell.array.flat)
    head = f'Lattice="{lattice}" Properties=species:S:1:pos:R:3:velo:R:3 pbc="T T T"'
    (folder / "water.xyz").write_text("\n".join([str(len(atoms)), head, *rows]) + "\n")
    write_ipi_xyz(folder / "init.xyz", atoms)
    # The atomic unit of time is 0.024188843265864 fs.
    write_ipi_xyz(folder / "velocities.xyz", atoms, "velocities{atomic_unit}", kick / BOHR * 0.024188843265864)
    return atoms


def nve(mdrun, folder, report):
    """Constant energy, 100 steps of 0.5 fs: every position that i-PI sends is where mdrun's own run has the atom."""
    steps = 100
    water(folder)
    name = unique("nve")
    tap = Tap(name)
    velocities = "<velocities mode='xyz'>velocities.xyz</velocities>"
    dynamics = "mode='nve'><timestep units='femtosecond'>0.5</timestep>"
    client = serve(mdrun, "water.xyz", f"unix:{tap.path}", "--precision", "f64")
    run_ipi(folder, simulation(name, steps, dynamics, [], velocities=velocities), client)
    masses = ", ".join(f'{s} = "{m} u"' for s, m in MASSES.items())
    (folder / "run.toml").write_text(
        f"""[system]
structure = "water.xyz"
masses = {{ {masses} }}
[potential]
model = "{MODEL}"
precision = "f64"
[dynamics]
ensemble = "nve"
timestep = "0.5 fs"
steps = {steps}
[device]
kind = "cpu"
[output]
directory = "run"
[[output.trajectory]]
format = "xyz"
every = "0.5 fs"
"""
    )
    subprocess.run([mdrun, "--quiet", "run.toml"], cwd=folder, check=True)
    ours = np.array([frame.positions for frame in ase.io.read(folder / "run" / "traj.xyz", ":")])
    theirs = np.array(tap.positions)
    report.between("positions sent", len(theirs), steps + 1, steps + 1)
    report.between("way of the farthest atom", float(np.abs(ours[-1] - ours[0]).max()), 0.3, 3.0, "A")
    # i-PI has its constants to 8 digits: the positions of a box of 12 A, the mass and the time step are off by 1e-8 or so, and 50 fs
    # make little of it.
    report.most("largest difference of a coordinate in 100 steps", float(np.abs(ours - theirs[: steps + 1]).max()), 1e-6, "A")


def batch(mdrun, folder, report):
    """A path integral with all beads in one message, or in memory that is shared, is that with each bead in its own, digit by digit."""
    atoms = ase.io.read(STRUCTURES / "ethanol.xyz")
    atoms.cell = [30.0, 30.0, 30.0]
    dynamics = "mode='nvt'><timestep units='femtosecond'>0.25</timestep><thermostat mode='pile_l'><tau units='femtosecond'>50</tau></thermostat>"
    runs = {}
    for mode, size in (("unix", 1), ("unix", 8), ("shm", 1), ("shm", 8)):
        name = unique(f"{mode}_{size}")
        own = folder / name
        own.mkdir()
        write_ipi_xyz(own / "init.xyz", atoms)
        text = simulation(name, 20, dynamics, ["kinetic_cv"], beads=8, batch=size, mode=mode)
        runs[mode, size] = run_ipi(own, text, serve(mdrun, STRUCTURES / "ethanol.xyz", f"{mode}:{name}"))
    alone = runs.pop(("unix", 1))
    report.between("spread of the potential energy over the run", float(np.ptp(alone[2])), 1e-4, 1.0, "hartree")
    for (mode, size), columns in runs.items():
        difference = np.abs(alone - columns).max(axis=1)
        report.most(f"{mode}, {size} at once: difference of potential energies", float(difference[2]), 0.0, "hartree")
        report.most(f"{mode}, {size} at once: difference of kinetic energies", float(difference[3]), 0.0, "hartree")


@contextmanager
def calculator(mdrun, structure, *more):
    """ASE's calculator with mdrun behind it."""
    name = unique("ase")

    def launch(atoms, properties, port, unixsocket):
        return subprocess.Popen(serve(mdrun, structure, f"unix:{unixsocket}", *more), stderr=subprocess.DEVNULL)

    with SocketIOCalculator(unixsocket=name, launch_client=launch, timeout=120) as calc:
        yield calc


def stress(mdrun, folder, report):
    """Energy, forces and stress of a cell without right angles, with what ASE finds by differences of the energies."""
    from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

    rng = np.random.default_rng(3)
    molecule = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    places = [[0.0, 0.0, 0.0], [3.1, 0.3, 0.2], [0.4, 3.2, 0.5], [0.3, 0.2, 3.3]]
    positions = np.concatenate([molecule + p for p in places]) + rng.normal(scale=0.05, size=(12, 3))
    cell = [[6.4, 0.3, -0.2], [1.7, 6.1, 0.4], [-0.9, 1.3, 6.6]]
    atoms = Atoms("OHH" * 4, positions, cell=cell, pbc=True)
    structure = folder / "cell.xyz"
    ase.io.write(structure, atoms, format="extxyz")
    with calculator(mdrun, structure) as calc:
        atoms.calc = calc
        found = atoms.get_potential_energy(), atoms.get_forces().copy(), atoms.get_stress(voigt=False).copy()
        # Steps of 1e-3 (A, or strain): the error of a central difference is 1e-6 of a third derivative, some 10 eV/A^3 here.
        slopes = calculate_numerical_forces(atoms, eps=1e-3)
        strain = calculate_numerical_stress(atoms, eps=1e-3, voigt=False)
    printed = energy(mdrun, structure)
    off = lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max())
    # ASE's bohr and hartree are those of CODATA 2014, off by 1e-9 or less; energies are some 500 eV, the file has 8 digits.
    report.most("energy against mdrun energy", off(found[0], printed["energy_ev"]), 1e-5, "eV")
    report.most("forces against mdrun energy", off(found[1], printed["forces_ev_per_angstrom"]), 1e-5, "eV/A")
    report.most("stress against mdrun energy", off(found[2], printed["stress_ev_per_angstrom3"]), 1e-7, "eV/A^3")
    report.between("largest force", float(np.abs(found[1]).max()), 0.5, 50, "eV/A")
    report.between("largest component of the stress", float(np.abs(found[2]).max()), 1e-2, 10, "eV/A^3")
    report.between("largest shear", float(np.abs(found[2] - np.diag(np.diag(found[2]))).max()), 1e-3, 10, "eV/A^3")
    report.most("forces against ASE's differences", off(found[1], slopes), 1e-3, "eV/A")
    report.most("stress against ASE's differences", off(found[2], strain), 1e-5, "eV/A^3")


def optimise(mdrun, folder, report):
    """BFGS of ethanol, and its vibrations, held against differences of `mdrun energy`."""
    from ase.optimize import BFGS
    from ase.vibrations import Vibrations

    atoms = ase.io.read(STRUCTURES / "ethanol.xyz")
    before = atoms.positions.copy()
    delta = 0.01
    with calculator(mdrun, STRUCTURES / "ethanol.xyz") as calc:
        atoms.calc = calc
        optimiser = BFGS(atoms, logfile=None)
        converged = optimiser.run(fmax=1e-4, steps=500)
        report.between("BFGS has converged", float(converged), 1, 1)
        report.between("way of the farthest atom", float(np.abs(atoms.positions - before).max()), 1e-3, 1.0, "A")
        vibrations = Vibrations(atoms, name=str(folder / "vibrations"), delta=delta)
        vibrations.run()
        theirs = vibrations.get_frequencies()
    vibrations.clean()
    hessian = np.zeros((27, 27))
    moved = atoms.copy()
    moved.calc = None
    for k in range(27):
        forces = []
        for sign in (1, -1):
            moved.positions = atoms.positions
            moved.positions[k // 3, k % 3] += sign * delta
            rows = [f"{s} {x!r} {y!r} {z!r}" for s, (x, y, z) in zip(moved.symbols, moved.positions.tolist())]
            (folder / "moved.xyz").write_text("\n".join(["9", "", *rows]) + "\n")
            forces.append(np.array(energy(mdrun, folder / "moved.xyz")["forces_ev_per_angstrom"]).ravel())
        hessian[k] = (forces[1] - forces[0]) / (2 * delta)
    hessian = 0.5 * (hessian + hessian.T)
    roots = np.repeat(atoms.get_masses() ** -0.5, 3)
    squares = np.linalg.eigvalsh(roots[:, None] * hessian * roots)
    unit = ase.units._hbar * ase.units.m / np.sqrt(ase.units._e * ase.units._amu) / ase.units.invcm
    ours = np.sign(squares) * np.sqrt(np.abs(squares)) * unit
    theirs = np.sort(theirs.real - np.abs(theirs.imag))
    print("vibrations (1/cm):", " ".join(f"{x:.1f}" for x in theirs[6:]))
    report.between("softest of 21 vibrations", float(theirs[6]), 100, 500, "1/cm")
    report.between("stiffest of 21 vibrations", float(theirs[-1]), 3200, 4200, "1/cm")
    report.most("largest difference of 21 vibrations", float(np.abs(ours - theirs)[6:].max()), 0.1, "1/cm")


def run_file(structure, name, dynamics, *, velocities='"from the file"', fields=""):
    """A run file whose forces come over the unix socket of this name."""
    return f"""[system]
structure = "{structure}"
velocities = {velocities}
[potential]
socket = "unix:{name}"
[dynamics]
{dynamics}
[output]
directory = "run"
thermo_every = 1
[[output.trajectory]]
format = "xyz"
every = 1
{fields}
[monitor]
contact = "off"
temperature = "off"
[device]
kind = "cpu"
"""


def harmonic(mdrun, folder, report):
    """i-PI's driver with its harmonic potential: velocity Verlet of springs is known in closed form."""
    # Springs of 0.05 hartree/bohr^2 for each atom and axis; steps of 0.4 fs, for periods of 15 fs (H) and more.
    spring, timestep, steps = 0.05, 0.4, 200
    rng = np.random.default_rng(5)
    start, kick = rng.normal(size=(4, 3)), rng.normal(scale=0.02, size=(4, 3))
    symbols, masses = ["H", "C", "O", "O"], np.array([1.0, 12.0, 16.0, 16.0])[:, None]
    rows = [f"{s} {' '.join(repr(float(x)) for x in [*r, *v])}" for s, r, v in zip(symbols, start, kick)]
    (folder / "atoms.xyz").write_text("\n".join(["4", "Properties=species:S:1:pos:R:3:velo:R:3", *rows]) + "\n")
    name = unique("harmonic")
    dynamics = f'ensemble = "nve"\ntimestep = "{timestep} fs"\nsteps = {steps}'
    text = run_file("atoms.xyz", name, dynamics)
    text = text.replace("[potential]", 'masses = { H = "1 u", C = "12 u", O = "16 u" }\n[potential]')
    (folder / "run.toml").write_text(text)
    driver = [i_pi().with_name("i-pi-driver-py"), "-u", "-a", name, "-m", "harmonic", "-o", spring]
    with running([mdrun, "--quiet", "run.toml"], folder, "run"):
        wait_for(Path(f"/tmp/ipi_{name}"))
        with running(driver, folder, "driver"):
            pass
    found = np.array([frame.positions for frame in ase.io.read(folder / "run" / "traj.xyz", ":")])
    # k in u/fs^2 (1 u A^2/fs^2 is 103.642697 eV): x(n) = A cos(w n) + B sin(w n) with cos w = 1 - k dt^2 / 2m, and B from x(1).
    k = spring * HARTREE / BOHR**2 / 103.6426966
    square = k * timestep**2 / masses
    phase = np.arccos(1 - square / 2)
    sine = kick * timestep / np.sin(phase)
    n = np.arange(steps + 1)[:, None, None]
    wanted = start * np.cos(phase * n) + sine * np.sin(phase * n)
    report.between("way of the farthest atom", float(np.abs(found - start).max()), 1.0, 10.0, "A")
    # Constants of 9 digits, over some ten periods.
    report.most("largest difference to the closed form in 200 steps", float(np.abs(found - wanted).max()), 1e-6, "A")


def wait_for(path):
    for _ in range(600):
        if Path(path).exists():
            return
        threading.Event().wait(0.05)
    raise SystemExit(f"{path} does not come")


def ase_client(mdrun, folder, report):
    """ASE's client with its own Lennard-Jones potential: energies, forces and the stress that moves a cell are those of ASE."""
    from ase.build import bulk
    from ase.calculators.lj import LennardJones

    atoms = bulk("Ar", cubic=True, a=5.3) * (2, 2, 2)
    atoms.set_cell(atoms.cell.array @ np.array([[1.02, 0.03, -0.02], [0.03, 0.97, 0.01], [-0.02, 0.01, 1.0]]), scale_atoms=True)
    atoms.rattle(0.05, seed=2)
    ase.io.write(folder / "argon.xyz", atoms, format="extxyz")
    name = unique("ase_client")
    dynamics = """ensemble = "npt"
temperature = "80 K"
relaxation = "0.2 ps"
seed = 1
pressure = "1 kbar"
barostat_relaxation = "1 ps"
compressibility = "3e-4 1/bar"
coupling = "triclinic"
barostat_every = 2
timestep = "4 fs"
steps = 30"""
    velocities = '{ temperature = "80 K", seed = 1 }'
    (folder / "run.toml").write_text(
        run_file("argon.xyz", name, dynamics, velocities=velocities, fields='fields = ["velocities", "forces"]')
    )
    potential = "LennardJones(sigma=3.4, epsilon=0.0104, rc=7.5, smooth=True)"
    (folder / "client.py").write_text(
        f"""import ase.io
from ase.calculators.lj import LennardJones
from ase.calculators.socketio import SocketClient
atoms = ase.io.read("argon.xyz")
atoms.calc = {potential}
SocketClient(unixsocket="{name}").run(atoms, use_stress=True)
"""
    )
    with running([mdrun, "--quiet", "run.toml"], folder, "run"):
        wait_for(Path(f"/tmp/ipi_{name}"))
        with running([sys.executable, "client.py"], folder, "client"):
            pass
    frames = ase.io.read(folder / "run" / "traj.xyz", ":")
    worst = np.zeros(3)
    for frame in frames[::5]:
        judge = Atoms(frame.symbols, frame.positions, cell=frame.cell, pbc=True)
        judge.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=7.5, smooth=True)
        # ASE's reader keeps what the file says; the stress there is that of the potential alone.
        said = frame.calc.results
        here = [
            abs(said["energy"] - judge.get_potential_energy()),
            np.abs(said["forces"] - judge.get_forces()).max(),
            np.abs(said["stress"] - judge.get_stress()).max(),
        ]
        worst = np.maximum(worst, here)
    stress = np.abs(frames[0].calc.results["stress"])
    report.between("frames", len(frames), 31, 31)
    report.between("smallest component of the first stress", float(stress.min()), 1e-5, 1e-2, "eV/A^3")
    # ASE's units are those of CODATA 2014, off by 1e-9.
    report.most("energy", float(worst[0]), 1e-7, "eV")
    report.most("forces", float(worst[1]), 1e-8, "eV/A")
    report.most("stress", float(worst[2]), 1e-9, "eV/A^3")
    report.between("change of the volume", abs(frames[-1].cell.volume - frames[0].cell.volume), 0.1, 200, "A^3")


CHECKS = {
    "nve": nve,
    "batch": batch,
    "stress": stress,
    "optimise": optimise,
    "harmonic": harmonic,
    "ase_client": ase_client,
}


def main(checks):
    """Runs the check that the command line names."""
    mdrun, folder, name = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3]
    report = Report()
    checks[name](mdrun, folder, report)
    sys.exit(not report.sound)


if __name__ == "__main__":
    main(CHECKS)
