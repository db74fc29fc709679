"""`Potential.evaluate_arrays`: what each structure is alone, and arrays that others share: by DLPack, as long as anyone has them."""

import gc

import numpy as np
import pytest
from ase.build import molecule

import mdrun

from dlpack_reader import Versioned, taken


def joined(structures):
    return {
        "numbers": np.concatenate([atoms.numbers for atoms in structures]),
        "positions": np.concatenate([atoms.positions for atoms in structures]),
        "counts": [len(atoms) for atoms in structures],
        "cells": np.array([atoms.cell.array for atoms in structures]),
        "pbc": np.array([atoms.pbc for atoms in structures]),
    }


def test_each_is_what_it_is_alone(potential, ethanol, water):
    structures = [ethanol, water, molecule("CH4")]
    found = potential.evaluate_arrays(**joined(structures))
    alone = potential.evaluate(structures)
    assert found.energies.numpy().tolist() == [one.energy for one in alone]
    assert np.array_equal(found.forces.numpy(), np.concatenate([one.forces for one in alone]))
    assert found.stresses is None
    assert (found.energies.shape, found.forces.shape) == ((3,), (sum(map(len, structures)), 3))
    assert found.forces.device == "cpu"
    assert repr(found.forces) == "<mdrun.Array: 206 x 3, cpu>"


def test_stress_is_there_where_all_have_some(potential, water):
    sheared = water.copy()
    sheared.set_cell(water.cell.array @ [[1.01, 0.02, 0], [0, 0.99, 0.03], [0, 0, 1]], scale_atoms=True)
    structures = [water, sheared]
    found = potential.evaluate_arrays(**joined(structures))
    assert np.array_equal(found.stresses.numpy(), [one.stress for one in potential.evaluate(structures)])
    # One cell for all, periodic for all.
    both = {**joined([water, water]), "cells": water.cell.array, "pbc": True}
    stresses = potential.evaluate_arrays(**both).stresses.numpy()
    assert np.array_equal(stresses[0], found.stresses.numpy()[0])
    assert np.array_equal(stresses[0], stresses[1])


def test_nothing_is_nothing(potential):
    found = potential.evaluate_arrays(np.zeros(0, int), np.zeros((0, 3)), np.zeros(0, int))
    assert found.energies.numpy().shape == (0,)
    assert found.forces.numpy().shape == (0, 3)


def test_what_does_not_fit_is_told(potential, ethanol):
    good = joined([ethanol, ethanol])

    def told(**changed):
        with pytest.raises(mdrun.InputError) as fault:
            potential.evaluate_arrays(**{**good, **changed})
        return str(fault.value)

    assert "counts sum up to 17 atoms, for which there are 18 atomic numbers and 18 positions" in told(counts=[9, 8])
    assert "counts are whole numbers" in told(counts=[9.0, 9.0])
    assert "counts are whole numbers" in told(counts=[-9, 27])
    assert "positions are of shape (atoms, 3), not (54,)" in told(positions=good["positions"].ravel())
    assert "cells of shape (4, 3, 3) do not fit 2 structures" in told(cells=np.zeros((4, 3, 3)))
    assert "pbc of shape (5,) do not fit 2 structures" in told(pbc=[True] * 5)
    assert "atomic numbers are whole numbers" in told(numbers=good["numbers"] * 1.0)
    far = good["positions"].copy()
    far[10] = np.nan
    assert told(positions=far).startswith("frame 1: ")


def test_numpy_shares_the_memory(potential, ethanol):
    forces = potential.evaluate_arrays(**joined([ethanol])).forces
    first, second = np.from_dlpack(forces), forces.numpy()
    wanted = first.copy()
    assert np.shares_memory(first, second)
    assert first.dtype == np.float64
    # Whoever looks keeps it, also when it has no other owner.
    del forces, second
    gc.collect()
    others = [potential.evaluate_arrays(**joined([ethanol])).forces for _ in range(20)]
    assert np.array_equal(first, wanted)
    assert np.array_equal(np.asarray(others[7]), wanted)
    assert np.asarray(others[7], dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("version", [None, (0, 8), (1, 0), (1, 3)])
def test_a_capsule_is_laid_out_as_the_header_says(potential, water, version):
    stresses = potential.evaluate_arrays(**joined([water, water])).stresses
    wanted = stresses.numpy().copy()
    with taken(stresses.__dlpack__(max_version=version)) as managed:
        assert isinstance(managed, Versioned) == (version is not None and version[0] >= 1)
        if isinstance(managed, Versioned):
            assert (managed.major, managed.minor, managed.flags) == (1, 0, 0)
        tensor = managed.tensor
        assert (tensor.device.kind, tensor.device.index) == stresses.__dlpack_device__() == (1, 0)
        assert (tensor.numbers.code, tensor.numbers.bits, tensor.numbers.lanes) == (2, 64, 1)
        assert tensor.shape[: tensor.dimensions] == [2, 3, 3]
        assert tensor.strides[: tensor.dimensions] == [9, 3, 1]
        assert tensor.offset == 0
        # Taken, it is there without the array.
        del stresses
        gc.collect()
        row = (np.ctypeslib.ctypes.c_double * 18).from_address(tensor.data)
        assert list(row) == wanted.ravel().tolist()


def test_other_devices_and_copies_are_refused(potential, ethanol):
    forces = potential.evaluate_arrays(**joined([ethanol])).forces
    forces.__dlpack__(stream=None, max_version=(1, 0), dl_device=(1, 0), copy=False)
    for wish in [{"dl_device": (2, 0)}, {"copy": True}]:
        with pytest.raises(BufferError):
            forces.__dlpack__(**wish)


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


@pytest.mark.filterwarnings("ignore:the model was trained on")
def test_memory_is_given_back(potential):
    """Capsules that are taken, that nobody takes, and arrays that are dropped first: none keeps its memory."""
    # A gas whose atoms do not see each other: much memory for little work.
    places = 15.0 * np.stack(np.meshgrid(*[np.arange(17.0)] * 3), axis=-1).reshape(-1, 3)
    gas = (np.ones(len(places), int), places, [len(places)])
    size, times = places.nbytes, 6

    def use():
        forces = potential.evaluate_arrays(*gas).forces
        untaken = [forces.__dlpack__(), forces.__dlpack__(max_version=(1, 0))]
        view = np.from_dlpack(forces)
        with taken(forces.__dlpack__()), taken(forces.__dlpack__(max_version=(1, 0))):
            pass
        return len(untaken), view.shape

    def growth():
        before = resident()
        for _ in range(times):
            use()
        return resident() - before

    # The allocator's pools grow now and then; what is never given back grows each time.
    assert min(growth() for _ in range(5)) < times * size / 2


class Speaker:
    """An array that speaks DLPack, and is none to numpy."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **wishes):
        return self.array.__dlpack__(**wishes)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_it_takes_whatever_speaks_dlpack(potential, ethanol):
    structures = joined([ethanol])
    wanted = potential.evaluate_arrays(**structures).forces.numpy()
    spoken = {name: Speaker(np.asarray(value).copy()) for name, value in structures.items() if name != "pbc"}
    assert np.array_equal(potential.evaluate_arrays(**spoken).forces.numpy(), wanted)
    # Arrays of its own, too: forces of a stretched bond as positions far apart.
    pair = {"numbers": [7, 7], "positions": [[0.0, 0.0, 0.0], [0.0, 0.0, 1.3]], "counts": [2]}
    forces = potential.evaluate_arrays(**pair).forces
    for positions in (forces, Speaker(forces)):
        moved = potential.evaluate_arrays(**{**pair, "positions": positions}).energies.numpy()
        assert np.array_equal(moved, potential.evaluate_arrays(**{**pair, "positions": forces.numpy()}).energies.numpy())
