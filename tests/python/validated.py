"""What physical_validation finds of runs that the tests have made.

usage: validated.py FOLDER TEMPERATURE COLDER TIMESTEP

FOLDER has, as CSV, kinetic and potential energies (eV) of 108 atoms at TEMPERATURE (K; "colder" at COLDER), and the total
energies of runs at constant energy with TIMESTEP (fs), its half and its quarter. Prints a line of JSON: standard errors by
which mean and width of each kinetic energy are off, and by which the slope of the pair is; and how far ratios of fluctuations
are from the square of those of the steps.
"""

import contextlib
import io
import json
import os
import sys

import numpy as np
import physical_validation as pv

ATOMS = 108
KB = 8.617333262e-5
EV = 96.48533212


def units():
    return pv.data.UnitData(
        kb=KB,
        energy_conversion=EV,
        length_conversion=0.1,
        volume_conversion=1e-3,
        temperature_conversion=1.0,
        pressure_conversion=1.0,
        time_conversion=1e-3,
    )


def system():
    return pv.data.SystemData(
        natoms=ATOMS,
        nconstraints=0,
        ndof_reduction_tra=0,
        ndof_reduction_rot=0,
        mass=np.full(ATOMS, 39.948),
    )


def of(ensemble, temperature, timestep=None, **observables):
    names = {"ensemble": ensemble, "natoms": ATOMS, "volume": 17.34**3, "temperature": temperature}
    return pv.data.SimulationData(
        units=units(),
        dt=timestep,
        system=system(),
        ensemble=pv.data.EnsembleData(**names),
        observables=pv.data.ObservableData(**observables),
    )


def main():
    folder, temperature, colder, timestep = sys.argv[1], *map(float, sys.argv[2:])
    read = lambda name: np.loadtxt(os.path.join(folder, name + ".csv"), delimiter=",", ndmin=2).T
    found, runs = {}, {}
    for name in ["sound", "colder", "kinetic", "loud", "steered"]:
        at = colder if name == "colder" else temperature
        kinetic, potential = read(name)
        data = of("NVT", at, kinetic_energy=kinetic, potential_energy=potential)
        found[name] = pv.kinetic_energy.distribution(
            data, strict=False, verbosity=0, bs_repetitions=200, bootstrap_seed=1
        )
        runs[name] = data
    off = pv.ensemble.check(runs["sound"], runs["colder"], bootstrap_seed=1, verbosity=0)
    found["pair"] = float(np.max(np.abs(off)))
    for name in ["second", "first"]:
        steps = [timestep, timestep / 2, timestep / 4]
        data = [
            of("NVE", None, step, constant_of_motion=read(f"{name}_{k}")[0]) for k, step in enumerate(steps)
        ]
        found[name] = float(pv.integrator.convergence(data, verbose=False))
    return found


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            found = main()
        finally:
            print(said.getvalue(), file=sys.stderr)
    print(json.dumps(found))
