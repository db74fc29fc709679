"""What a call from Python costs beyond the evaluation, for 21 atoms: `python/.venv/bin/python python/tests/overhead.py`.

Medians of many calls that take turns, so that all see the same machine.
"""

import statistics
import time

import ase.build
import ase.calculators.calculator
import numpy as np
from ase import Atoms

import mdrun

ROUNDS = 3000


class Zeros(ase.calculators.calculator.Calculator):
    """A calculator that computes nothing."""

    implemented_properties = ["energy", "free_energy", "forces"]

    def calculate(self, atoms=None, properties=None, system_changes=None):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "free_energy": 0.0, "forces": np.zeros((len(atoms), 3))}


def median(taken):
    """Median and quartiles (us) of times (ns)."""
    quartiles = [f"{q / 1e3:.1f}" for q in statistics.quantiles(taken, n=4)]
    return f"{quartiles[1]:>7} us (quartiles {quartiles[0]}, {quartiles[2]})"


def main():
    atoms = Atoms()
    for k in range(7):
        one = ase.build.molecule("H2O")
        one.positions[:, 0] += 3.0 * k
        atoms += one
    assert len(atoms) == 21
    potential = mdrun.Potential(precision="f32")
    ours, zeros = atoms.copy(), atoms.copy()
    ours.calc, zeros.calc = mdrun.Calculator(potential), Zeros()

    def forces(which):
        which.positions[0, 0] += 1e-6
        which.get_forces()

    calls = {
        "mdrun.evaluate(atoms, potential)": lambda: mdrun.evaluate(atoms, potential),
        "mdrun.evaluate([atoms], potential)": lambda: mdrun.evaluate([atoms], potential),
        "mdrun.Calculator": lambda: forces(ours),
        "a calculator of zeros": lambda: forces(zeros),
    }
    around = {name: [] for name in calls}
    inside = []
    for _ in range(ROUNDS):
        for name, call in calls.items():
            before, began = potential.evaluating, time.perf_counter_ns()
            call()
            taken, evaluating = time.perf_counter_ns() - began, 1e9 * (potential.evaluating - before)
            around[name].append(taken - evaluating)
            if name == "mdrun.Calculator":
                inside.append(evaluating)
    print(f"{'the evaluation itself':36} {median(inside)}")
    print("around it:")
    for name, taken in around.items():
        print(f"  {name:34} {median(taken)}")


if __name__ == "__main__":
    main()
