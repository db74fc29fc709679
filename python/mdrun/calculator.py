"""A calculator of ASE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import all_changes

from .potential import DEFAULT_MODEL, Named, Potential


class Calculator(AseCalculator):
    """Energy, forces and stress for ASE: ``atoms.calc = mdrun.Calculator()``.

    Stress is there where the cell is periodic in all directions, energies of atoms where the processor computes. Of a committee, ``results`` has ``energy_spread`` (eV for each
    atom) and ``force_spread`` (eV/angstrom, of the worst atom) as well.

    :param model: as for :class:`mdrun.Potential`, which may be given itself, so that several calculators share one.
    :param precision: as there.
    :param device: as there.
    :param threads: as there.
    :param more: what any calculator of ASE takes, such as ``atoms`` and ``directory``.
    :raises InputError: a model cannot be read, or the device is not there.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]
    default_parameters: dict[str, Any] = {}
    nolabel = True

    def __init__(
        self,
        model: Potential | Named | Sequence[Named] = DEFAULT_MODEL,
        *,
        precision: str | None = None,
        device: str = "cpu",
        threads: int | None = None,
        **more: Any,
    ) -> None:
        super().__init__(**more)  # type: ignore[no-untyped-call]
        if isinstance(model, Potential):
            self.potential = model
        else:
            self.potential = Potential(model, precision=precision, device=device, threads=threads)

    def calculate(
        self,
        atoms: Any = None,
        properties: Sequence[str] | None = None,
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluates atoms, and puts all that is found into ``results``."""
        # All that the class of ASE does here but for a folder for files, of which there are none.
        if atoms is not None:
            self.atoms = atoms.copy()
        given: Any = self.atoms
        found = self.potential.evaluate(given)
        self.results = {"energy": found.energy, "free_energy": found.energy, "forces": found.forces}
        if found.energies is not None:
            self.results["energies"] = found.energies
        if found.stress is not None:
            # Voigt's order: xx, yy, zz, yz, xz, xy.
            self.results["stress"] = found.stress.ravel()[[0, 4, 8, 5, 2, 1]]
        if found.spread is not None:
            self.results["energy_spread"] = found.spread.energy
            self.results["force_spread"] = found.spread.force
