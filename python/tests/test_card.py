"""Arrays that stay on a card: `Potential.evaluate_arrays` of `device="cuda:0"`, and positions that come from one.

Skipped where there is no card; with MDRUN_REQUIRE_GPU set it fails there.
"""

import gc
import os

import numpy as np
import pytest

import mdrun

from dlpack_reader import Card, taken
from test_arrays import joined

CUDA = 2
# Kernels are chosen for many structures here and for one there: rounding of f32, of forces of 10 eV/A and energies of 1e4 eV.
FORCES, ENERGIES = 2e-4, 2e-3


@pytest.fixture(scope="module")
def card():
    try:
        return Card()
    except (OSError, AssertionError) as fault:
        if os.environ.get("MDRUN_REQUIRE_GPU"):
            raise
        pytest.skip(f"no CUDA device: {fault}")


@pytest.fixture(scope="module")
def on_card(card):
    return mdrun.Potential(device="cuda:0")


def shaken(atoms, seed):
    other = atoms.copy()
    other.rattle(0.05, seed=seed)
    return other


@pytest.fixture
def boxes(water):
    return [shaken(water, seed) for seed in range(5)]


def read(card, array):
    """An array on the card, read by the driver's own library."""
    found = np.zeros(array.shape)
    with taken(array.__dlpack__(stream=1)) as managed:
        tensor = managed.tensor
        assert (tensor.device.kind, tensor.device.index) == array.__dlpack_device__() == (CUDA, 0)
        assert (tensor.numbers.code, tensor.numbers.bits, tensor.numbers.lanes) == (2, 64, 1)
        assert tensor.shape[: tensor.dimensions] == list(array.shape)
        card.read(tensor.data + tensor.offset, found)
    return found


def test_what_stays_there_is_what_comes_here(card, on_card, boxes):
    found = on_card.evaluate_arrays(**joined(boxes))
    assert found.forces.device == found.energies.device == found.stresses.device == "cuda:0"
    # The same kernels: the same bits.
    together = on_card.evaluate(boxes)
    assert read(card, found.energies).tolist() == [one.energy for one in together]
    assert np.array_equal(read(card, found.forces), np.concatenate([one.forces for one in together]))
    assert np.array_equal(read(card, found.stresses), [one.stress for one in together])
    # Brought to the host by this program: the same again.
    assert np.array_equal(found.forces.numpy(), read(card, found.forces))
    assert np.array_equal(np.asarray(found.stresses), read(card, found.stresses))


def test_it_is_what_the_processor_says(on_card, potential, boxes, ethanol):
    structures = [*boxes, ethanol]
    found, wanted = (one.evaluate_arrays(**joined(structures)) for one in (on_card, potential))
    assert found.stresses is None
    assert np.abs(found.forces.numpy() - wanted.forces.numpy()).max() < FORCES
    assert np.abs(found.energies.numpy() - wanted.energies.numpy()).max() < ENERGIES


def test_many_more_than_a_batch_come_in_order(on_card, water):
    """More atoms than one batch has (50,000), fewer structures in the last one; then fewer structures with the same batch."""
    structures = [shaken(water, seed) for seed in range(300)]
    found = on_card.evaluate_arrays(**joined(structures))
    together = on_card.evaluate(structures)
    assert np.array_equal(found.energies.numpy(), [one.energy for one in together])
    assert np.array_equal(found.forces.numpy(), np.concatenate([one.forces for one in together]))
    fewer = on_card.evaluate_arrays(**joined(structures[:7]))
    assert np.array_equal(fewer.forces.numpy(), found.forces.numpy()[: 7 * len(water)])


def test_it_stays_as_long_as_anyone_has_it(card, on_card, boxes):
    first = on_card.evaluate_arrays(**joined(boxes))
    wanted = first.forces.numpy()
    capsule = first.forces.__dlpack__()
    del first
    gc.collect()
    for seed in range(10):
        on_card.evaluate_arrays(**joined([shaken(one, seed + 50) for one in boxes]))
    found = np.zeros(wanted.shape)
    with taken(capsule) as managed:
        card.read(managed.tensor.data, found)
    assert np.array_equal(found, wanted)


def test_memory_is_given_back(card, on_card, water):
    import ctypes

    def free():
        left, all_of_it = ctypes.c_size_t(), ctypes.c_size_t()
        card.told("cuMemGetInfo_v2", ctypes.byref(left), ctypes.byref(all_of_it))
        return left.value

    structures = joined([water] * 200)
    size = 24 * len(structures["numbers"])
    on_card.evaluate_arrays(**structures)
    gc.collect()
    before = free()
    # Each kept, they would take so many times as much.
    times = 200
    for _ in range(times):
        forces = on_card.evaluate_arrays(**structures).forces
        forces.__dlpack__()
        with taken(forces.__dlpack__(max_version=(1, 0))):
            pass
    del forces
    gc.collect()
    assert before - free() < times * size / 4


def test_positions_come_from_a_card(card, on_card, potential, ethanol):
    """Positions are put onto the card by the driver's own library, where an array of this shape is."""
    structures = joined([shaken(ethanol, seed) for seed in range(3)])
    place = on_card.evaluate_arrays(**structures).forces
    moved = np.ascontiguousarray(structures["positions"] + 0.01 * np.sin(np.arange(81)).reshape(27, 3))
    with taken(place.__dlpack__()) as managed:
        card.write(managed.tensor.data, moved)
    for one in (on_card, potential):
        found = one.evaluate_arrays(**{**structures, "positions": place})
        wanted = one.evaluate_arrays(**{**structures, "positions": moved})
        assert np.array_equal(found.forces.numpy(), wanted.forces.numpy())
    # Of a structure, too.
    ethanol.positions = moved[:9]

    class Given:
        numbers, cell, pbc, positions = ethanol.numbers, ethanol.cell, ethanol.pbc, place

    with pytest.raises(mdrun.InputError, match="9 atomic numbers and 27 positions"):
        potential.evaluate(Given())


def test_torch_shares_the_memory(card, on_card, boxes):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    found = on_card.evaluate_arrays(**joined(boxes))
    forces = torch.from_dlpack(found.forces)
    with taken(found.forces.__dlpack__()) as managed:
        assert forces.data_ptr() == managed.tensor.data
    assert (forces.device.type, forces.dtype) == ("cuda", torch.float64)
    wanted = found.forces.numpy()
    del found
    gc.collect()
    assert np.array_equal(forces.cpu().numpy(), wanted)
    # Tensors go in, in either precision, from another stream, of any integer.
    structures = joined(boxes)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        tensors = {name: torch.as_tensor(np.asarray(value), device="cuda") for name, value in structures.items()}
        tensors["positions"] = tensors["positions"] * 2 - tensors["positions"]
        assert np.array_equal(on_card.evaluate_arrays(**tensors).forces.numpy(), wanted)
        tensors["positions"] = tensors["positions"].float()
        off = on_card.evaluate_arrays(**tensors).forces.numpy() - wanted
    # Positions of 12 A in f32 are off by 1e-6 A, of curvatures of 100 eV/A^2.
    assert 0 < np.abs(off).max() < 1e-3
    with pytest.raises(BufferError, match="contiguous"):
        on_card.evaluate_arrays(**{**tensors, "positions": tensors["positions"].T.contiguous().T})
