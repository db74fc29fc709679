"""`mdrun.evaluate` and `mdrun.Potential`: what the command line says, one structure or many, and what is no structure."""

import json
import os
import threading
from multiprocessing import get_context
from types import SimpleNamespace

import ase
import ase.io
import numpy as np
import pytest
from ase.build import molecule

import mdrun

from conftest import STRUCTURES


@pytest.mark.parametrize("name", ["ethanol.xyz", "water64.xyz"])
@pytest.mark.parametrize("precision", ["f64", "f32", "int8"])
def test_the_command_line_says_the_same(program, name, precision):
    told = json.loads(
        program(
            "energy", "--model", mdrun.DEFAULT_MODEL, "--structure", STRUCTURES / name, "--precision", precision, "--json", "--device", "cpu"
        ).stdout
    )
    # Weights in 8 bits are those of the structure that a potential sees first.
    potential = mdrun.Potential(precision=precision, device="cpu")
    found = potential.evaluate(ase.io.read(STRUCTURES / name))
    assert found.energy == told["energy_ev"]
    assert found.forces.tolist() == told["forces_ev_per_angstrom"]
    stress = told.get("stress_ev_per_angstrom3")
    assert (found.stress is None) == (stress is None)
    if stress is not None:
        assert found.stress.tolist() == stress


def shaken(atoms, seed, amount=0.05):
    other = atoms.copy()
    other.rattle(amount, seed=seed)
    return other


def test_many_are_what_each_is_alone(potential, ethanol, water):
    structures = []
    for seed in range(40):
        structures.append(shaken(ethanol, seed))
        structures.append(shaken(molecule("CH4"), seed))
    structures.insert(7, shaken(water, 1))
    together = potential.evaluate(structures)
    assert len(together) == len(structures)
    for atoms, found in zip(structures, together, strict=True):
        alone = mdrun.Potential(threads=1).evaluate(atoms) if len(atoms) > 100 else potential.evaluate(atoms)
        assert found.energy == alone.energy
        assert np.array_equal(found.forces, alone.forces)
        assert (found.stress is None) == (alone.stress is None)
        if found.stress is not None:
            assert np.array_equal(found.stress, alone.stress)
    assert potential.evaluate([]) == []


def test_energies_of_atoms_sum_up_and_know_their_place(potential, ethanol):
    found = potential.evaluate(ethanol)
    assert found.energies.shape == (9,)
    assert found.energies.sum() == pytest.approx(found.energy, abs=1e-9)
    # Of molecules out of each other's range each keeps its own; a list has the same.
    other = molecule("CH4")
    other.positions += [50, 0, 0]
    both, alone = potential.evaluate([ethanol + other, other])
    assert np.abs(both.energies - np.concatenate([found.energies, alone.energies])).max() < 1e-9
    names = ["painn_hcno_gfn2", "painn_organic_gfn2"]
    mean = np.mean([mdrun.evaluate(ethanol, name).energies for name in names], axis=0)
    committee = mdrun.evaluate(ethanol, names)
    assert np.abs(committee.energies - mean).max() < 1e-9
    assert committee.energies.sum() == pytest.approx(committee.energy, abs=1e-9)


def test_more_atoms_than_are_evaluated_between_two_looks_for_a_signal(potential, ethanol):
    structures = [shaken(ethanol, seed) for seed in range(2000)]
    energies = [found.energy for found in potential.evaluate(structures)]
    assert energies[::199] == [potential.evaluate(atoms).energy for atoms in structures[::199]]


def test_arrays_are_ones_own(potential, ethanol):
    found = potential.evaluate(ethanol)
    found.forces[:] = 0
    again = potential.evaluate(ethanol)
    assert np.abs(again.forces).max() > 0.001
    assert again.forces.shape == (9, 3) and again.forces.dtype == np.float64


def test_anything_with_four_attributes_is_atoms(potential, ethanol):
    like = SimpleNamespace(
        numbers=ethanol.numbers.astype(np.int32),
        positions=np.asfortranarray(ethanol.positions).tolist(),
        cell=np.zeros((3, 3)),
        pbc=[False, False, False],
    )
    assert potential.evaluate(like).energy == potential.evaluate(ethanol).energy
    strided = ethanol.copy()
    strided.arrays["positions"] = np.repeat(ethanol.positions, 2, axis=0)[::2]
    assert potential.evaluate(strided).energy == potential.evaluate(ethanol).energy


def test_a_cell_that_is_not_periodic_is_nothing_to_the_atoms(potential, ethanol):
    boxed = ethanol.copy()
    boxed.cell = [[5, 0, 0], [5, 0, 0], [0, 0, 0]]
    assert potential.evaluate(boxed).energy == potential.evaluate(ethanol).energy


def test_partly_periodic_cells_have_no_stress(potential, ethanol):
    wire = ethanol.copy()
    wire.cell = [12, 0, 0]
    wire.pbc = [True, False, False]
    assert potential.evaluate(wire).stress is None


def test_a_model_is_read_again_where_its_file_has_changed(tmp_path, monkeypatch, ethanol):
    models = STRUCTURES.parents[1] / "models"
    file = tmp_path / "own.safetensors"
    file.write_bytes((models / "painn_hcno_gfn2.safetensors").read_bytes())
    first = mdrun.evaluate(ethanol, file).energy
    assert first == mdrun.evaluate(ethanol).energy
    file.write_bytes((models / "painn_organic_gfn2.safetensors").read_bytes())
    os.utime(file, ns=(1, 1))
    assert mdrun.evaluate(ethanol, str(file)).energy == mdrun.evaluate(ethanol, "painn_organic_gfn2").energy != first
    monkeypatch.chdir(tmp_path)
    assert mdrun.evaluate(ethanol, "own").energy == mdrun.evaluate(ethanol, file).energy


def test_a_committee_says_how_far_it_is_apart(ethanol):
    names = ["painn_hcno_gfn2", "painn_organic_gfn2"]
    alone = [mdrun.evaluate(ethanol, name) for name in names]
    both = mdrun.evaluate(ethanol, names)
    assert alone[0].spread is None
    assert both.energy == pytest.approx(np.mean([one.energy for one in alone]), abs=1e-9)
    assert both.spread.energy > 0 and both.spread.force > 0


def test_what_a_model_has_not_learned_is_told_once():
    fresh = mdrun.Potential()
    methyl = molecule("CH3")
    with pytest.warns(UserWarning, match="odd number of electrons") as told:
        fresh.evaluate(methyl)
        fresh.evaluate([methyl, methyl])
    assert len(told) == 1 and told[0].filename == __file__


def test_threads_share_a_potential(potential, ethanol):
    structures = [shaken(ethanol, seed) for seed in range(30)]
    wanted = [potential.evaluate(atoms).energy for atoms in structures]
    found = {}

    def ask(k):
        found[k] = [potential.evaluate(atoms).energy for atoms in structures]

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[k] == wanted for k in range(4))


def test_the_interpreter_is_free_while_it_computes(water):
    fresh, counted, done = mdrun.Potential(threads=1), [0], threading.Event()
    frames = [shaken(water, seed, 0.01) for seed in range(20)]

    def count():
        while not done.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    fresh.evaluate(frames[0])
    before = counted[0]
    fresh.evaluate(frames)
    during = counted[0] - before
    done.set()
    thread.join()
    # Held, another thread would have come to nothing but a switch or two.
    assert during > 1000


class TestErrors:
    """The words of the command line, where it has them."""

    def told(self, atoms, **more):
        with pytest.raises(mdrun.InputError) as fault:
            mdrun.evaluate(atoms, **more)
        assert isinstance(fault.value, (mdrun.Error, ValueError))
        return str(fault.value)

    def said(self, program, tmp_path, atoms):
        path = tmp_path / "atoms.xyz"
        ase.io.write(path, atoms)
        done = program("energy", "--model", mdrun.DEFAULT_MODEL, "--structure", path, check=False)
        assert done.returncode == 2
        return done.stderr.replace(f"{path}: ", "")

    def test_atoms_on_top_of_each_other(self, program, tmp_path, ethanol):
        ethanol.positions[3] = ethanol.positions[4] + 0.001
        told = self.told(ethanol)
        assert told in self.said(program, tmp_path, ethanol)
        several = self.told([molecule("H2O"), ethanol, molecule("CH4")])
        assert several == f"frame 1: {told}"

    def test_an_element_that_the_model_does_not_know(self, program, tmp_path):
        gold = ase.Atoms("Au2", [[0, 0, 0], [0, 0, 2.5]])
        told = self.told(gold)
        assert told in self.said(program, tmp_path, gold) and "Au" in told
        assert self.told([molecule("H2O"), gold]) == f"frame 1: {told}"

    def test_cells(self, program, tmp_path, ethanol):
        ethanol.pbc = True
        ethanol.cell = [[9, 0, 0], [0, 9, 0], [9, 9, 0]]
        assert self.told(ethanol) in self.said(program, tmp_path, ethanol)
        ethanol.cell = [9, 9, 0]
        assert "direction c is periodic but has no lattice vector" in self.told(ethanol)
        ethanol.cell = [0.5, 9, 9]
        assert "thinner than an atom" in self.told(ethanol)
        ethanol.cell = [np.nan, 9, 9]
        assert "not a finite number" in self.told(ethanol)

    def test_positions(self, ethanol):
        for value, words in [(np.nan, "is not finite"), (np.inf, "is not finite"), (1e30, "millimetre")]:
            atoms = ethanol.copy()
            atoms.positions[2, 1] = value
            assert words in self.told(atoms)
            assert self.told([ethanol, atoms]).startswith("frame 1: ")
        assert "no atoms" in self.told(ase.Atoms())

    def test_what_are_no_atoms(self, ethanol):
        def like(**other):
            fields = {key: getattr(ethanol, key) for key in ("numbers", "positions", "cell", "pbc")}
            return SimpleNamespace(**{**fields, **other})

        assert "whole numbers" in self.told(like(numbers=ethanol.numbers + 0.5))
        assert "(atoms, 3)" in self.told(like(positions=np.zeros((9, 2))))
        assert "9 atomic numbers and 8 positions" in self.told(like(positions=ethanol.positions[:-1]))
        assert "(3, 3)" in self.told(like(cell=np.zeros(3)))
        assert "each periodic or not" in self.told(like(pbc=[True]))
        for number in (0, -1, 119, 262, 2**40):
            assert f"the atomic number {number}" in self.told(like(numbers=np.full(9, number)))
        with pytest.raises(AttributeError):
            mdrun.evaluate([SimpleNamespace(numbers=[1])])

    def test_models_and_devices(self, program, ethanol):
        told = self.told(ethanol, model="painn_hcno_gfn")
        done = program(
            "energy", "--model", "painn_hcno_gfn", "--structure", STRUCTURES / "ethanol.xyz", check=False
        )
        assert "did you mean" in told and told.split(";")[0] in done.stderr
        assert "none.safetensors: no such file" in self.told(ethanol, model="none.safetensors")
        assert self.told(ethanol, device="gpu") == 'device = "gpu": auto, cpu, or cuda:0 and so on is wanted'
        assert self.told(ethanol, precision="f31").startswith('precision = "f31": ')
        with pytest.raises(mdrun.InputError, match="threads = 0"):
            mdrun.Potential(threads=0)

    def test_a_device_that_is_not_there(self, ethanol):
        if "cuda" not in self.told(ethanol, device="cuda:99").lower():
            pytest.fail("names the device")


def ask_in_a_fork(queue):
    try:
        mdrun.evaluate(molecule("H2O"))
    except mdrun.Error as fault:
        queue.put(str(fault))
    else:
        queue.put("no fault")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_has_no_threads_and_says_so(potential, ethanol):
    potential.evaluate(ethanol)
    for method, words in [("fork", "spawn"), ("spawn", "no fault")]:
        context = get_context(method)
        queue = context.Queue()
        child = context.Process(target=ask_in_a_fork, args=(queue,))
        child.start()
        assert words in queue.get(timeout=60)
        child.join()
