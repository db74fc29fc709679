"""Energies, forces and stress of structures."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast, overload

import numpy as np
from numpy.typing import NDArray

from . import _mdrun
from .arrays import Array, Arrays, on_host
from .errors import InputError

Floats: TypeAlias = NDArray[np.float64]
Named: TypeAlias = "str | os.PathLike[str]"

DEFAULT_MODEL = "painn_hcno_gfn2"
"""The model where none is named: for neutral molecules of H, C, N and O, and for water."""


class AtomsLike(Protocol):
    """Atoms as ASE has them; an object of one's own with these four attributes will do."""

    @property
    def numbers(self) -> Any:
        """Atomic numbers, one for each atom."""

    @property
    def positions(self) -> Any:
        """Positions (angstrom), three for each atom."""

    @property
    def cell(self) -> Any:
        """Lattice vectors (angstrom), row by row."""

    @property
    def pbc(self) -> Any:
        """Whether each lattice vector is a period."""


@dataclass(frozen=True)
class Spread:
    """How far the models of a committee are apart."""

    energy: float
    """Standard deviation of the energy for each atom (eV)."""

    force: float
    """Standard deviation of the force on the atom that they are farthest apart on (eV/angstrom)."""


@dataclass(slots=True)
class Evaluation:
    """What a potential says of a structure. The arrays are one's own to change."""

    energy: float
    """Potential energy (eV)."""

    energies: Floats | None
    """Energy of each atom (eV), which sum up to it; ``None`` on a card."""

    forces: Floats
    """Force on each atom, of shape (atoms, 3) (eV/angstrom)."""

    stress: Floats | None
    """Stress, of shape (3, 3) (eV/angstrom^3); ``None`` unless the cell is periodic in all directions."""

    spread: Spread | None
    """How far the models of a committee are apart; ``None`` of a single model."""


class Potential:
    """A model on a device, to be asked for any atoms that it knows.

    Several threads may ask one; they are answered one after another. What it needs for atoms is kept, so that the next
    structure of the same atoms costs little more than its evaluation.

    :param model: a model file, or the name of a model that comes with mdrun; several are a committee, whose mean it is.
    :param precision: numbers of the network, as ``mdrun energy --precision`` has them; ``"f64"`` if not given, ``"f32"`` on
        a card.
    :param device: ``"cpu"``, or ``"cuda:0"`` and so on.
    :param threads: threads of the processor; one for each core if not given.
    :raises InputError: a model cannot be read, or the device is not there.
    """

    def __init__(
        self,
        model: Named | Sequence[Named] = DEFAULT_MODEL,
        *,
        precision: str | None = None,
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self._made = (_models(model), precision, device, threads)
        self._core = _mdrun.Potential(*self._made)

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process reads the model anew.
        return _made, self._made

    @property
    def description(self) -> str:
        """What it is, in a line."""
        return self._core.description

    @property
    def notes(self) -> list[str]:
        """What is to be said of the model files."""
        return self._core.notes

    @property
    def cutoff(self) -> float:
        """Range (angstrom): atoms farther apart do not interact directly."""
        return self._core.cutoff

    @property
    def evaluating(self) -> float:
        """Time that evaluations took so far (s), without what is around them: checks, and the way from Python and back."""
        return self._core.evaluating

    @overload
    def evaluate(self, atoms: AtomsLike) -> Evaluation: ...
    @overload
    def evaluate(self, atoms: Sequence[AtomsLike]) -> list[Evaluation]: ...
    def evaluate(self, atoms: AtomsLike | Sequence[AtomsLike]) -> Evaluation | list[Evaluation]:
        """Evaluates a structure on all threads, or many side by side.

        No bit of one depends on the others, nor on what was evaluated before. What the model has not learned, such as an odd
        number of electrons, is a warning the first time that such atoms come.

        :raises InputError: a structure cannot be evaluated; of several, the first is named.
        :raises RunError: an energy is not a finite number, or the device failed.
        """
        # Whatever has these is one structure, also where it is a sequence of atoms.
        if hasattr(atoms, "numbers"):
            return _unpack(self._core.evaluate(_pack(cast(AtomsLike, atoms))))
        return [_unpack(found) for found in self._core.evaluate_all([_pack(one) for one in atoms])]

    def evaluate_arrays(self, numbers: Any, positions: Any, counts: Any, cells: Any = None, pbc: Any = False) -> Arrays:
        """Evaluates many structures whose atoms lie one structure behind the other, and leaves what is found on the device.

        Arguments may be arrays of numpy, or of anyone who speaks DLPack, on the host or on a card. Those on a card are brought to
        the host, where atoms are looked at before they are evaluated.

        :param numbers: atomic numbers, of shape (atoms).
        :param positions: positions (angstrom), of shape (atoms, 3).
        :param counts: atoms of each structure, of shape (structures); they sum up to all atoms.
        :param cells: lattice vectors row by row (angstrom), of shape (structures, 3, 3), or one cell for all; none if not given.
        :param pbc: whether lattice vectors are periods: for all, or of shape (3), or of shape (structures, 3).
        :raises InputError: a structure cannot be evaluated, which is named; or shapes do not fit.
        :raises RunError: an energy is not a finite number, or the device failed.
        """
        energies, forces, stresses, doubts = self._core.evaluate_arrays(_split(numbers, positions, counts, cells, pbc))
        if doubts:
            _warn(doubts)
        return Arrays(Array(energies), Array(forces), None if stresses is None else Array(stresses))

    def __repr__(self) -> str:
        return f"<mdrun.Potential: {self.description}>"


@overload
def evaluate(
    atoms: AtomsLike,
    model: Potential | Named | Sequence[Named] = ...,
    *,
    precision: str | None = ...,
    device: str = ...,
) -> Evaluation: ...
@overload
def evaluate(
    atoms: Sequence[AtomsLike],
    model: Potential | Named | Sequence[Named] = ...,
    *,
    precision: str | None = ...,
    device: str = ...,
) -> list[Evaluation]: ...
def evaluate(
    atoms: AtomsLike | Sequence[AtomsLike],
    model: Potential | Named | Sequence[Named] = DEFAULT_MODEL,
    *,
    precision: str | None = None,
    device: str = "cpu",
) -> Evaluation | list[Evaluation]:
    """Evaluates a structure, or many side by side: as :meth:`Potential.evaluate` of the model.

    A model is read once, and again where its file has changed.

    :param atoms: a structure (ASE's ``Atoms``), or a sequence of them.
    :param model: as for :class:`Potential`, or one itself.
    """
    potential = model if isinstance(model, Potential) else known(model, precision, device)
    return potential.evaluate(atoms)


def _made(model: list[str], precision: str | None, device: str, threads: int | None) -> Potential:
    return Potential(model, precision=precision, device=device, threads=threads)


_MOST_KNOWN = 4
_known: dict[tuple[Any, ...], Potential] = {}


def known(model: Named | Sequence[Named], precision: str | None, device: str) -> Potential:
    """The potential of a model that was asked for before, or a new one; the latest few are kept."""
    models = _models(model)
    key = (precision, device, *((name, _stamp(name)) for name in models))
    # Taken out and put back, it is the latest.
    potential = _known.pop(key, None) or Potential(models, precision=precision, device=device)
    _known[key] = potential
    while len(_known) > _MOST_KNOWN:
        _known.pop(next(iter(_known)), None)
    return potential


def _models(model: Named | Sequence[Named]) -> list[str]:
    if isinstance(model, (str, os.PathLike)):
        return [os.fspath(model)]
    return [os.fspath(one) for one in model]


def _stamp(name: str) -> tuple[int, int, int] | None:
    """What changes where a model file does; nothing of a model inside the program."""
    for path in (name, f"{name}.safetensors"):
        try:
            found = os.stat(path)
        except OSError:
            continue
        return found.st_ino, found.st_mtime_ns, found.st_size
    return None


def _pack(atoms: AtomsLike) -> tuple[bytes, bytes, bytes, bytes]:
    """The bytes of a structure's arrays. They are copied: others may write to the arrays while the interpreter is free."""
    numbers = on_host(atoms.numbers)
    positions = np.asarray(on_host(atoms.positions), dtype=np.float64)
    if numbers.dtype.kind not in "iu":
        raise InputError(f"atomic numbers are whole numbers, not {numbers.dtype}")
    if positions.ndim != 2 or positions.shape[1] != 3:
        raise InputError(f"positions are of shape (atoms, 3), not {positions.shape}")
    cell = np.asarray(on_host(getattr(atoms.cell, "array", atoms.cell)), dtype=np.float64)
    if cell.shape != (3, 3):
        raise InputError(f"a cell is of shape (3, 3), not {cell.shape}")
    return (
        numbers.astype(np.int64, copy=False).tobytes(),
        positions.tobytes(),
        cell.tobytes(),
        np.asarray(on_host(atoms.pbc), dtype=np.bool_).tobytes(),
    )


def _split(numbers: Any, positions: Any, counts: Any, cells: Any, pbc: Any) -> list[tuple[bytes, bytes, bytes, bytes]]:
    """The bytes of structures whose atoms lie one structure behind the other."""
    all_numbers, all_positions, atoms = on_host(numbers), on_host(positions), on_host(counts)
    if atoms.dtype.kind not in "iu" or atoms.ndim != 1 or (atoms < 0).any():
        raise InputError("counts are whole numbers of atoms, one for each structure")
    if all_positions.ndim != 2 or all_positions.shape[1] != 3:
        raise InputError(f"positions are of shape (atoms, 3), not {all_positions.shape}")
    total = int(atoms.sum())
    if all_numbers.shape != (total,) or len(all_positions) != total:
        raise InputError(
            f"counts sum up to {total} atoms, for which there are {all_numbers.size} atomic numbers and {len(all_positions)} positions"
        )
    lattices = np.zeros((3, 3)) if cells is None else on_host(cells)
    shapes = [("cells", lattices, (len(atoms), 3, 3)), ("pbc", on_host(pbc), (len(atoms), 3))]
    spread = []
    for what, values, shape in shapes:
        try:
            spread.append(np.broadcast_to(values, shape))
        except ValueError:
            raise InputError(f"{what} of shape {values.shape} do not fit {len(atoms)} structures") from None
    ends = np.cumsum(atoms)
    return [
        _pack(_Slice(all_numbers[end - count : end], all_positions[end - count : end], cell, periods))
        for count, end, cell, periods in zip(atoms, ends, *spread, strict=True)
    ]


@dataclass(slots=True)
class _Slice:
    """One structure of several."""

    numbers: Any
    positions: Any
    cell: Any
    pbc: Any


def _warn(doubts: list[str]) -> None:
    """Warns whoever called the package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame, level = frame.f_back, level + 1
    for doubt in doubts:
        warnings.warn(doubt, stacklevel=level)


def _unpack(
    found: tuple[float, bytearray | None, bytearray, bytearray | None, tuple[float, float] | None, list[str]],
) -> Evaluation:
    energy, energies, forces, stress, spread, doubts = found
    if doubts:
        _warn(doubts)
    return Evaluation(
        energy,
        None if energies is None else np.frombuffer(energies),
        cast(Floats, np.frombuffer(forces).reshape(-1, 3)),
        None if stress is None else cast(Floats, np.frombuffer(stress).reshape(3, 3)),
        None if spread is None else Spread(*spread),
    )
