"""Arrays that stay where they were computed, for libraries that compute there as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from . import _mdrun

_CUDA = 2
"""A card, in the words of DLPack."""


class Array:
    """Numbers (float64) on the device that has computed them, for whatever speaks DLPack: ``torch.from_dlpack(array)``.

    Nothing is copied: whoever takes it shares its memory, which lives as long as anyone has it. The numbers are all there when
    it is made, so that they may be read in any stream at once, and nothing of mdrun's writes to them again. Memory on a card is
    given back once the card has done all that was begun before.
    """

    __slots__ = ("_core",)

    def __init__(self, core: _mdrun.Array) -> None:
        self._core = core

    @property
    def shape(self) -> tuple[int, ...]:
        """How many numbers there are along each axis."""
        return tuple(self._core.shape)

    @property
    def device(self) -> str:
        """``"cpu"``, or ``"cuda:0"`` and so on."""
        kind, index = self._core.__dlpack_device__()
        return f"cuda:{index}" if kind == _CUDA else "cpu"

    def numpy(self) -> NDArray[np.float64]:
        """The numbers in the host's memory: without a copy if they are there."""
        return cast(NDArray[np.float64], on_host(self))

    def __dlpack__(self, **wishes: Any) -> Any:
        """A capsule, as DLPack has it."""
        return self._core.__dlpack__(**wishes)

    def __dlpack_device__(self) -> tuple[int, int]:
        """The type of device and its number, as DLPack has them."""
        return self._core.__dlpack_device__()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"<mdrun.Array: {' x '.join(map(str, self.shape))}, {self.device}>"


@dataclass(slots=True)
class Arrays:
    """What a potential says of many structures, on the potential's device."""

    energies: Array
    """Potential energy of each structure, of shape (structures) (eV)."""

    forces: Array
    """Forces on the atoms of one structure behind those of the other, of shape (atoms, 3) (eV/angstrom)."""

    stresses: Array | None
    """Stress of each structure, of shape (structures, 3, 3) (eV/angstrom^3); ``None`` unless all cells are periodic in all
    directions."""


def on_host(values: Any) -> NDArray[Any]:
    """Values as numpy has them: an array on a card is brought to the host once it is computed; all others are looked at as they are.

    :raises BufferError: an array on a card whose numbers do not lie row after row, or are none that are known here.
    """
    if type(values) is np.ndarray:
        return values
    where = getattr(values, "__dlpack_device__", None)
    if where is not None and where()[0] == _CUDA:
        found, numbers, shape = _mdrun.fetch(values)
        return np.frombuffer(found, dtype=numbers).reshape(shape)
    if isinstance(values, Array) or (where is not None and not hasattr(values, "__array__")):
        return cast(NDArray[Any], np.from_dlpack(values))
    return np.asarray(values)
