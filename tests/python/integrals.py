"""Path integrals, constant pressure and cells that shear, moved by i-PI: runs of picoseconds, and what they conserve.

usage: integrals.py MDRUN FOLDER WHAT

As sockets.py, whose words these are.
"""

import socket
import threading

import ase.io
import numpy as np
from ase import Atoms

from sockets import BOHR, HARTREE, i_pi, main, run_ipi, running, serve, simulation, unique, wait_for, water, write_ipi_xyz


def drift(columns, times):
    """Slope of the conserved quantity (hartree / ps)."""
    return np.polyfit(times, columns[1], 1)[0]


def mean_and_error(series, blocks=10):
    length = len(series) // blocks
    means = series[-blocks * length :].reshape(blocks, length).mean(axis=1)
    return means.mean(), means.std(ddof=1) / np.sqrt(blocks)


def pimd(mdrun, folder, report):
    """10 ps of a molecule of water as a ring of 16 beads at 300 K."""
    steps, timestep = 40_000, 0.25
    atoms = Atoms("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], cell=[30.0] * 3)
    write_ipi_xyz(folder / "init.xyz", atoms)
    ase.io.write(folder / "molecule.xyz", Atoms(atoms.symbols, atoms.positions), format="extxyz")
    name = unique("pimd")
    dynamics = f"mode='nvt'><timestep units='femtosecond'>{timestep}</timestep><thermostat mode='pile_l'><tau units='femtosecond'>50</tau></thermostat>"
    text = simulation(name, steps, dynamics, ["kinetic_cv", "kinetic_td", "temperature"], beads=16, batch=16)
    columns = run_ipi(folder, text, serve(mdrun, "molecule.xyz", f"unix:{name}", "--threads", "1"))
    times = columns[0] * timestep * 1e-3
    settled = columns[:, times > 1.0]
    virial, primitive = mean_and_error(settled[3]), mean_and_error(settled[4])
    # Two estimators of the same kinetic energy: the first from forces and positions, the second from the springs between beads.
    off = (virial[0] - primitive[0]) / np.hypot(virial[1], primitive[1])
    report.most("centroid virial against primitive kinetic energy", abs(float(off)), 4.0, "standard errors")
    # Three stretches and bends at their ground state have half of their quanta, 0.0106 hartree for the real molecule; classical
    # atoms would have 9/2 kT, of which the centre of mass has no part here.
    report.between("kinetic energy", float(virial[0]), 0.008, 0.014, "hartree")
    # kT at 300 K is 9.5e-4 hartree.
    report.between("temperature of the beads", float(settled[5].mean()), 0.93e-3, 0.97e-3, "hartree")
    # i-PI tells it per bead. Beads move at 16 times 300 K, with 9/2 kT of kinetic energy each, 0.068 hartree: 0.3 % of that in a ps.
    found = float(drift(settled, times[times > 1.0]))
    print(f"drift of the conserved quantity per bead: {found * HARTREE * 1e3 / len(atoms):.3f} meV/atom/ps", flush=True)
    report.most("drift of the conserved quantity per bead", abs(found), 2e-4, "hartree/ps")


# Volume of the shipped box of water under its own pressure of 1 bar at 300 K, from 300 ps of mdrun's own barostat (models/README.md).
VOLUME = (1619.0, 1.4)  # A^3


def npt(mdrun, folder, report):
    """10 ps of water at constant pressure, 300 K and 1 bar."""
    steps, timestep = 20_000, 0.5
    water(folder)
    name = unique("npt")
    thermostat = "<thermostat mode='langevin'><tau units='femtosecond'>100</tau></thermostat>"
    dynamics = (
        f"mode='npt'><timestep units='femtosecond'>{timestep}</timestep>{thermostat}"
        f"<barostat mode='isotropic'><tau units='femtosecond'>250</tau>{thermostat}</barostat>"
    )
    pressure = "<pressure units='bar'>1</pressure>"
    text = simulation(name, steps, dynamics, ["temperature{kelvin}", "pressure_md{bar}", "volume{angstrom3}"], pressure=pressure)
    columns = run_ipi(folder, text, serve(mdrun, "water.xyz", f"unix:{name}", "--precision", "f32"))
    times = columns[0] * timestep * 1e-3
    settled = columns[:, times > 2.0]
    # Blocks of 1.6 ps, some times the memory of the volume.
    means = [mean_and_error(column, blocks=5) for column in settled[3:6]]
    for what, (mean, error), (wanted, known) in zip(
        ["temperature", "pressure", "volume"], means, [(300.0, 0.0), (1.0, 0.0), VOLUME]
    ):
        off = abs(float(mean - wanted)) / float(np.hypot(error, known))
        report.most(f"{what} {mean:.6g} +- {error:.2g} off {wanted:g}", off, 4.0, "standard errors")
    # The barostat's work is in it: a virial of the wrong sign or unit would show here.
    report.most("drift of the conserved quantity per atom", abs(float(drift(settled, times[times > 2.0]))) / 192, 2e-6, "hartree/ps")


# Springs that hold each atom at a place of its own, stiffer along some directions than along others (hartree/bohr^2).
SPRINGS = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.8], [0.5, -0.8, 2.0]]) * 1e-3


def answer(name, places, transposed):
    """A client whose virial is not symmetric: atoms on springs, at places (bohr). It sends the virial's rows one after another, row a
    and column b the force along a times the position along b, as mdrun's bytes are (`ipi::protocol`); or the other way round."""
    wait_for(f"/tmp/ipi_{name}")
    line = socket.socket(socket.AF_UNIX)
    line.connect(f"/tmp/ipi_{name}")

    def take(count):
        return line.recv(count, socket.MSG_WAITALL)

    state = b"READY"
    while (word := take(12).strip()) in (b"STATUS", b"POSDATA", b"GETFORCE"):
        if word == b"STATUS":
            line.sendall(state.ljust(12))
        elif word == b"POSDATA":
            atoms = np.frombuffer(take(144 + 4)[144:], np.int32)
            positions, state = np.frombuffer(take(24 * atoms[0])).reshape(-1, 3), b"HAVEDATA"
        else:
            away = positions - places
            forces = -away @ SPRINGS
            virial = forces.T @ positions
            numbers = [-0.5 * np.sum(forces * away)], atoms, forces, virial.T if transposed else virial, np.int32([0])
            line.sendall(b"FORCEREADY".ljust(12) + b"".join(np.asarray(part).tobytes() for part in numbers))
            state = b"READY"


def virial(mdrun, folder, report):
    """Which of the two is the virial's row: a cell that may shear conserves energy with the rows that mdrun sends, with columns not."""
    timestep = 1.0
    for transposed in (False, True):
        own = folder / f"transposed_{transposed}"
        own.mkdir()
        rng = np.random.default_rng(3)
        places = rng.uniform(2, 8, size=(16, 3))
        write_ipi_xyz(own / "init.xyz", Atoms("Ar16", places + rng.normal(scale=0.1, size=(16, 3)), cell=[10.0] * 3))
        name = unique(f"virial_{transposed}")
        step = f"<timestep units='femtosecond'>{timestep}</timestep>"
        dynamics = f"mode='npt'>{step}<barostat mode='flexible'><tau units='femtosecond'>400</tau></barostat>"
        text = simulation(name, 100, dynamics, [], pressure="<pressure units='bar'>1</pressure>")
        # Springs push the whole.
        text = text.replace("<motion mode='dynamics'>", "<motion mode='dynamics'><fixcom>False</fixcom>")
        (own / "input.xml").write_text(text)
        client = threading.Thread(target=answer, args=(name, places / BOHR, transposed), daemon=True)
        client.start()
        with running([i_pi(), "input.xml"], own, "i-pi"):
            pass
        client.join()
        _, conserved, potential = np.loadtxt(own / "out.properties").T
        # i-PI loses 1.5 % on the way, whatever the timestep; with the wrong triangle nearly all of what the springs take up is lost.
        lost = float(np.ptp(conserved) / np.ptp(potential))
        if transposed:
            report.between("transposed: lost of the energy that went to and fro", lost, 0.3, 3.0)
        else:
            report.most("lost of the energy that went to and fro", lost, 0.05)


CHECKS = {
    "virial": virial,
    "pimd": pimd,
    "npt": npt,
}


if __name__ == "__main__":
    main(CHECKS)
