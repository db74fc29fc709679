"""mdrun: molecular dynamics of trained potentials.

- :func:`evaluate` gives energies, forces and stress of structures, many of them side by side;
  :class:`Potential` is what it keeps of a model between calls. Its :meth:`Potential.evaluate_arrays` takes and gives arrays
  that may be on a card, by DLPack.
- :class:`Calculator` is a calculator of ASE.
- :class:`Simulation` is a run of the engine, stepped and watched from Python.
- ``python -m mdrun`` is the command line.

Energies are in eV, lengths in angstrom, times in fs, forces in eV/angstrom, stress in eV/angstrom^3. Everything that takes time
is done without holding the interpreter, and Ctrl-C is heard. Errors are :class:`InputError` and :class:`RunError`.
"""

from typing import TYPE_CHECKING, Any

from ._mdrun import __version__
from .arrays import Array, Arrays
from .errors import Error, InputError, RunError
from .potential import DEFAULT_MODEL, Evaluation, Potential, Spread, evaluate
from .simulation import Simulation, State

if TYPE_CHECKING:
    from .calculator import Calculator

__all__ = [
    "DEFAULT_MODEL",
    "Array",
    "Arrays",
    "Calculator",
    "Error",
    "Evaluation",
    "InputError",
    "Potential",
    "RunError",
    "Simulation",
    "Spread",
    "State",
    "__version__",
    "evaluate",
]


def __getattr__(name: str) -> Any:
    # ASE is wanted by those alone who use its calculator.
    if name == "Calculator":
        from .calculator import Calculator

        return Calculator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
