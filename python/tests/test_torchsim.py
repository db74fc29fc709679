"""The model for TorchSim. Skipped where it is not installed: torch alone has 2 GB, so that `make python` does not bring it.

    python/.venv/bin/python -m pip install torch-sim-atomistic==0.3.0
"""

import ase.build
import ase.units
import numpy as np
import pytest
from ase import Atoms
from ase.md.verlet import VelocityVerlet

import mdrun

ts = pytest.importorskip("torch_sim", reason="TorchSim is not installed; pip install torch-sim-atomistic==0.3.0 brings it")
torch = pytest.importorskip("torch")

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(potential):
    from mdrun.torchsim import TorchSimModel

    return TorchSimModel(potential)


def state_of(structures, dtype=torch.float64):
    return ts.io.atoms_to_state(structures, CPU, dtype)


def test_a_batch_is_what_each_is_alone(model, potential, water):
    """A cell that is no cube, whose columns are not its rows."""
    sheared = water.copy()
    sheared.set_cell(water.cell.array @ [[1.01, 0.02, 0], [0, 0.99, 0.03], [0, 0, 1]], scale_atoms=True)
    structures = [sheared, water]
    told = model(state_of(structures))
    alone = potential.evaluate(structures)
    assert told["energy"].tolist() == [one.energy for one in alone]
    assert np.array_equal(told["forces"].numpy(), np.concatenate([one.forces for one in alone]))
    assert np.array_equal(told["stress"].numpy(), [one.stress for one in alone])


def test_torchsims_own_checks_hold(model, monkeypatch):
    """They take crystals of silicon and iron: here cells of as many atoms of elements that the model knows."""
    from torch_sim.models.interface import validate_model_outputs

    methanol, hydrogen, peroxide = (ase.build.molecule(name) for name in ["CH3OH", "H2", "H2O2"])
    hydrogen.translate([0, 0, 4])
    first, second = methanol + hydrogen, peroxide
    first.set_cell([9.0, 9.0, 9.0])
    second.set_cell([5.0, 8.0, 8.0])
    for atoms in (first, second):
        atoms.pbc = True
    monkeypatch.setattr(ase.build, "bulk", lambda name, *_, **__: {"Si": first, "Fe": second}[name])
    validate_model_outputs(model, CPU, torch.float64)


def test_molecules_have_no_stress(potential, ethanol):
    from mdrun.torchsim import TorchSimModel

    with pytest.raises(ValueError, match="compute_stress=False"):
        TorchSimModel(potential)(state_of([ethanol]))
    told = TorchSimModel(potential, compute_stress=False, dtype=torch.float32)(state_of([ethanol], torch.float32))
    assert set(told) == {"energy", "forces"}
    assert told["forces"].dtype == torch.float32
    # Without an index all atoms are one system.
    state = state_of([ethanol])
    names = ["positions", "cell", "atomic_numbers", "pbc"]
    same = TorchSimModel(potential, compute_stress=False)({name: getattr(state, name) for name in names})
    assert same["energy"].tolist() == [potential.evaluate(ethanol).energy]


def test_torchsim_moves_atoms_as_ase_does(model, potential, ethanol):
    """Constant energy, two molecules at once: both programs' velocity Verlet from the same start."""
    steps, timestep = 60, 0.5 * ase.units.fs
    box = Atoms(ethanol.symbols, ethanol.positions, cell=[12.0] * 3, pbc=True)
    structures = [box, box.copy()]
    structures[1].rattle(0.03, seed=1)
    begin, step = ts.nve(model, dt=torch.tensor(timestep, dtype=torch.float64), kT=torch.tensor(0.025, dtype=torch.float64), seed=3)
    state = begin(state_of(structures))
    momenta = state.momenta.numpy().reshape(2, 9, 3).copy()
    masses = state.masses.numpy().reshape(2, 9)
    for _ in range(steps):
        state = step(state)
    ends = state.positions.numpy().reshape(2, 9, 3)
    for k, atoms in enumerate(structures):
        start = atoms.positions.copy()
        atoms.set_masses(masses[k])
        atoms.set_momenta(momenta[k])
        atoms.calc = mdrun.Calculator(potential)
        VelocityVerlet(atoms, timestep).run(steps)
        assert np.abs(atoms.positions - start).max() > 0.05
        # TorchSim wraps atoms into the cell. Rounding of 1e-15 A grows by the fastest vibration's phase of 60 steps and no more.
        off = atoms.positions - ends[k]
        assert np.abs(off - 12 * np.round(off / 12)).max() < 1e-10
