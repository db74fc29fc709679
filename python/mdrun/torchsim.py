"""A model of TorchSim (``pip install torch-sim-atomistic``): batches of systems, moved by it and evaluated by mdrun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch_sim.models.interface import ModelInterface

from .potential import DEFAULT_MODEL, Named, Potential


class TorchSimModel(ModelInterface):  # type: ignore[misc]
    """Energies, forces and stresses for TorchSim: ``TorchSimModel(device="cuda:0")``.

    All systems of a state are evaluated side by side, on a card together. There the energies, forces and stresses of ``float64`` are handed
    over without a copy; positions are brought to the host and back, since they are looked at before they are evaluated. Elements are
    those of the state, and may change from one to the next.

    :param model: as for :class:`mdrun.Potential`, which may be given itself.
    :param precision: as there.
    :param device: where mdrun computes, and where TorchSim has its states: ``"cpu"``, or ``"cuda:0"`` and so on.
    :param dtype: numbers of TorchSim's states.
    :param compute_stress: whether stresses are told; all cells must be periodic in all directions then.
    :param threads: as for :class:`mdrun.Potential`.
    :raises InputError: a model cannot be read, or the device is not there.
    """

    def __init__(
        self,
        model: Potential | Named | Sequence[Named] = DEFAULT_MODEL,
        *,
        precision: str | None = None,
        device: str = "cpu",
        dtype: torch.dtype = torch.float64,
        compute_stress: bool = True,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        if isinstance(model, Potential):
            self.potential = model
        else:
            self.potential = Potential(model, precision=precision, device=device, threads=threads)
        self._device = torch.device(device)
        self._dtype = dtype
        self._compute_stress = compute_stress
        self._compute_forces = True
        # Pairs within a range.
        self._memory_scales_with = "n_atoms_x_density"

    def forward(self, state: Any, **more: Any) -> dict[str, torch.Tensor]:
        """Evaluates a state, or a dictionary with its tensors.

        :returns: ``energy`` of shape (systems) (eV), ``forces`` of shape (atoms, 3) (eV/angstrom), and ``stress`` of shape
            (systems, 3, 3) (eV/angstrom^3).
        """

        def of(name: str) -> Any:
            return state[name] if isinstance(state, dict) else getattr(state, name)

        # TorchSim's cells have their vectors as columns.
        cells = of("cell").detach().reshape(-1, 3, 3).mT.contiguous()
        index = of("system_idx") if not isinstance(state, dict) or "system_idx" in state else None
        counts = [len(of("positions"))] if index is None else index.bincount(minlength=len(cells))
        found = self.potential.evaluate_arrays(
            of("atomic_numbers"), of("positions").detach().contiguous(), counts, cells, of("pbc")
        )
        told = {"energy": found.energies, "forces": found.forces}
        if self._compute_stress:
            if found.stresses is None:
                raise ValueError("stress is wanted of systems that are not periodic in all directions: compute_stress=False")
            told["stress"] = found.stresses
        return {name: torch.from_dlpack(array).to(self._device, self._dtype) for name, array in told.items()}
