"""The calculator as ASE uses it: ASE's own tests, optimisation, vibrations, NEB, stress."""

import importlib
import itertools
import json
import pickle

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.mep import NEB
from ase.optimize import BFGS, FIRE
from ase.stress import voigt_6_to_full_3x3_stress
from ase.units import _c, _e, _amu
from ase.vibrations import Vibrations

import mdrun


class Factory:
    """What ASE's tests make calculators with."""

    name = "mdrun"

    @staticmethod
    def calc(**parameters):
        return mdrun.Calculator(**parameters)


@pytest.fixture
def relaxed(ethanol):
    ethanol.calc = mdrun.Calculator()
    assert BFGS(ethanol, logfile=None).run(fmax=1e-5, steps=500)
    return ethanol


class TestOfAse:
    """Tests that come with ASE."""

    def of(self, name):
        return importlib.import_module(f"ase.test.{name}")

    def test_trajectories(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.of("calculator.test_traj").test_h2_traj(Factory, tmp_path)

    def test_a_bond(self, monkeypatch, potential):
        tests = self.of("calculator.test_h2_bond_force")
        atoms = molecule("H2")
        atoms.positions -= atoms.positions[0]
        atoms.cell, atoms.pbc = [20, 20, 20], True
        # ASE has no force constant of this potential to compare with: it is the one of its energies.
        frames = [atoms.copy() for _ in range(3)]
        for frame, step in zip(frames, (-0.05, 0.0, 0.05), strict=True):
            frame.positions[1, 2] += step
        low, middle, high = (found.energy for found in potential.evaluate(frames))
        monkeypatch.setitem(tests.k_refs, "mdrun", (low - 2 * middle + high) / 0.05**2)
        tests.test_h2_bond(Factory, atoms)

    @pytest.mark.parametrize("name", ["test_fd", "test_analytical_forces", "test_analytical_stress"])
    def test_finite_differences(self, monkeypatch, water, name):
        tests = self.of("calculator.test_fd")
        monkeypatch.setattr(tests, "EMT", mdrun.Calculator)
        # Its steps of 1e-6 A leave rounding that is more than 1e-7 of the smallest forces.
        close = np.testing.assert_allclose
        monkeypatch.setattr(np.testing, "assert_allclose", lambda a, b, rtol=1e-7: close(a, b, rtol, atol=1e-6))
        few = water[:6]
        few.cell, few.pbc = [9, 9, 9], True
        getattr(tests, name)(few)

    def test_a_reaction(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.of("calculator.test_ch4_energy").test_ch4_reaction(Factory)

    def test_vibrations(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        tests = self.of("vibrations.test_vibrations_example")
        monkeypatch.setattr(tests, "EMT", mdrun.Calculator)
        tests.test_vibrations_example(tmp_path)

    @pytest.mark.filterwarnings("ignore:.*odd number of electrons", "ignore:The default method")
    @pytest.mark.parametrize("name", ["test_no_shared_calc", "test_freeze_method"])
    def test_bands(self, monkeypatch, name):
        tests = self.of("neb.test_shared_calculator_neb")
        monkeypatch.setattr(tests, "EMT", mdrun.Calculator)
        suite = tests.TestNEB()
        suite.setup_class()
        getattr(suite, name)()


def test_it_is_handed_to_other_processes(potential, ethanol):
    ethanol.calc = mdrun.Calculator(potential)
    wanted = ethanol.get_potential_energy()
    again = pickle.loads(pickle.dumps(ethanol))
    assert again.get_potential_energy() == wanted
    again.positions[0] += 0.01
    assert again.get_potential_energy() != wanted


def test_what_is_asked_for_again_is_not_computed_again(ethanol, monkeypatch):
    calculator = ethanol.calc = mdrun.Calculator()
    asked = []
    evaluate = calculator.potential.evaluate
    monkeypatch.setattr(calculator.potential, "evaluate", lambda atoms: asked.append(1) or evaluate(atoms))
    ethanol.get_potential_energy()
    ethanol.get_forces()
    assert ethanol.get_potential_energies().sum() == pytest.approx(ethanol.get_potential_energy(), abs=1e-9)
    assert ethanol.get_potential_energy(force_consistent=True) == ethanol.get_potential_energy()
    assert len(asked) == 1
    ethanol.positions[0] += 0.01
    ethanol.get_forces()
    assert len(asked) == 2
    with pytest.raises(PropertyNotImplementedError):
        ethanol.get_stress()
    with pytest.raises(PropertyNotImplementedError):
        ethanol.get_dipole_moment()


def test_calculators_share_a_potential(potential, ethanol):
    images = [ethanol.copy() for _ in range(3)]
    for image in images:
        image.calc = mdrun.Calculator(potential)
        assert image.calc.potential is potential
    assert len({image.get_potential_energy() for image in images}) == 1
    with pytest.raises(mdrun.InputError):
        mdrun.Calculator("none")


def test_of_a_committee(ethanol):
    ethanol.calc = mdrun.Calculator(["painn_hcno_gfn2", "painn_organic_gfn2"])
    ethanol.get_forces()
    assert ethanol.calc.results["energy_spread"] > 0 and ethanol.calc.results["force_spread"] > 0


def test_stress_is_the_slope_of_the_energy(potential, water):
    water.calc = mdrun.Calculator(potential)
    stress = water.get_stress(voigt=False)
    frames, step = [], 1e-4
    moves = list(itertools.product(range(3), range(3), (1, -1)))
    for a, b, sign in moves:
        strain = np.eye(3)
        # Energy does not change with rotation: both triangles alike.
        strain[a, b] += sign * step / 2
        strain[b, a] += sign * step / 2
        frame = water.copy()
        frame.set_cell(water.cell @ strain, scale_atoms=True)
        frames.append(frame)
    energies = [found.energy for found in potential.evaluate(frames)]
    slopes = np.array(energies).reshape(3, 3, 2) @ [1, -1] / (2 * step * water.get_volume())
    assert np.abs(stress).max() > 1e-3
    # The third derivative times the square of the step, and rounding.
    assert np.abs(slopes - stress).max() < 1e-7
    assert np.abs(voigt_6_to_full_3x3_stress(water.get_stress()) - stress).max() < 1e-15
    assert np.abs(potential.evaluate(water).stress - stress).max() < 1e-15


def frequencies(hessian, masses):
    """Frequencies (1/cm) of a Hessian (eV/angstrom^2), those of imaginary ones negative."""
    weights = np.repeat(masses**-0.5, 3)
    squares = np.linalg.eigvalsh(hessian * np.outer(weights, weights))
    in_hertz = np.sqrt(np.abs(squares) * _e / _amu) * 1e10 / (2 * np.pi)
    return np.sign(squares) * in_hertz / (100 * _c)


def second_differences(potential, atoms, step):
    """The Hessian (eV/angstrom^2) from energies alone, of fourth order in the step (angstrom)."""
    count = 3 * len(atoms)
    # The mixed derivative of steps (h, h) less that of steps (h, -h), at h and at 2 h.
    points = [(i, j, n, s) for i in range(count) for j in range(i, count) for n in (1, 2) for s in (1, -1)]
    frames = []
    for i, j, n, s in points:
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions.flat[i] += sign * n * step
            moved.positions.flat[j] += sign * s * n * step
            frames.append(moved)
    energies = np.array([found.energy for found in potential.evaluate(frames)])
    # Over both signs, then over (h, h) and (h, -h): 4 h^2 times the mixed derivative. Where i is j, the second of these is the
    # energy at rest twice.
    both = energies.reshape(-1, 2, 2, 2).sum(axis=3)
    mixed = (both[:, :, 0] - both[:, :, 1]) / (4 * step**2 * np.array([1, 4]))
    values = (4 * mixed[:, 0] - mixed[:, 1]) / 3
    hessian = np.zeros((count, count))
    for (i, j), value in zip(itertools.combinations_with_replacement(range(count), 2), values, strict=True):
        hessian[i, j] = hessian[j, i] = value
    return hessian


def test_vibrations_are_those_of_the_energy(potential, relaxed, tmp_path, program):
    vibrations = Vibrations(relaxed, name=str(tmp_path / "vibrations"), delta=0.001, nfree=4)
    vibrations.run()
    told = vibrations.get_frequencies()
    # Six are motions of the whole.
    found = np.sort(told.real - told.imag)[6:]
    wanted = np.sort(frequencies(second_differences(potential, relaxed, 0.001), relaxed.get_masses()))[6:]
    assert len(found) == len(wanted) == 21
    far = np.abs(found - wanted).max()
    print(f"largest difference of the 21 frequencies: {far:.4f} 1/cm, from {found[0]:.1f} to {found[-1]:.1f}")
    assert 150 < found[0] < found[-1] < 4000
    assert far < 0.1
    # The energies are those of the command line, to the last digit.
    path = tmp_path / "relaxed.xyz"
    relaxed.write(path, columns=["symbols", "positions"], write_results=False, plain=False)
    told = json.loads(program("energy", "--model", mdrun.DEFAULT_MODEL, "--structure", path, "--json", "--device", "cpu").stdout)
    like = relaxed.copy()
    like.positions = told["positions_angstrom"]
    assert potential.evaluate(like).energy == told["energy_ev"]


def test_a_methyl_group_rotates(potential, relaxed):
    """A path on which the hydrogens of the methyl group change places in a ring, over a barrier of threefold rotation."""
    carbon, hydrogens = methyl(relaxed)
    other = next(k for k in range(len(relaxed)) if relaxed.symbols[k] == "C" and k != carbon)
    axis = relaxed.positions[carbon] - relaxed.positions[other]

    def turned(angle):
        image, whole = relaxed.copy(), relaxed.copy()
        whole.rotate(angle, axis, center=relaxed.positions[carbon])
        image.positions[hydrogens] = whole.positions[hydrogens]
        image.calc = mdrun.Calculator(potential)
        return image

    end = turned(120)
    assert BFGS(end, logfile=None).run(fmax=1e-3, steps=200)
    assert end.get_potential_energy() == pytest.approx(relaxed.get_potential_energy(), abs=1e-4)
    images = [*(turned(20 * k) for k in range(6)), end]
    path = NEB(images, climb=True, method="improvedtangent")
    assert FIRE(path, logfile=None).run(fmax=0.05, steps=200)
    energies = np.array([image.get_potential_energy() for image in images])
    barrier = energies.max() - energies[0]
    print(f"barrier of the methyl rotation: {1e3 * barrier:.1f} meV")
    assert energies.argmax() == 3
    # By experiment some 0.14 eV in molecules like this; GFN2-xTB, which the potential learned, has it lower.
    assert 0.08 < barrier < 0.2


def methyl(atoms):
    """The carbon atom of a methyl group and its three hydrogens."""
    distances = atoms.get_all_distances()
    for k, symbol in enumerate(atoms.symbols):
        near = [j for j in range(len(atoms)) if atoms.symbols[j] == "H" and distances[k, j] < 1.3]
        if symbol == "C" and len(near) == 3:
            return k, near
    raise AssertionError("there is no methyl group")
