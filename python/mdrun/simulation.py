"""Runs of the engine, stepped and watched from Python."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._mdrun import Course
from .errors import InputError, RunError
from .potential import Floats, Named


@dataclass(frozen=True, slots=True)
class State:
    """One moment of a run. Arrays cannot be written to."""

    step: int
    """Steps taken since the run began."""

    time: float
    """Simulated time (fs)."""

    potential_energy: float
    """Potential energy (eV)."""

    kinetic_energy: float
    """Kinetic energy (eV)."""

    conserved_energy: float
    """What exact dynamics conserves (eV): the total energy, less what thermostat and barostat have put in."""

    temperature: float
    """Instantaneous temperature (K), as the run's table of thermodynamics has it."""

    pressure: float | None
    """Instantaneous pressure (bar); ``None`` unless the cell is periodic in all directions."""

    pbc: tuple[bool, bool, bool]
    """Which lattice vectors are periods."""

    cell: Floats | None
    """Lattice vectors, row by row, of shape (3, 3) (angstrom); ``None`` where there are none."""

    stress: Floats | None
    """Stress of the potential, of shape (3, 3) (eV/angstrom^3); ``None`` unless the cell is periodic in all directions."""

    positions: Floats
    """Positions, of shape (atoms, 3) (angstrom); not wrapped into the cell."""

    velocities: Floats
    """Velocities, of shape (atoms, 3) (angstrom/fs)."""

    forces: Floats
    """Forces, of shape (atoms, 3) (eV/angstrom)."""

    @property
    def total_energy(self) -> float:
        """Total energy (eV)."""
        return self.potential_energy + self.kinetic_energy


Observer = Callable[[State], object]


class Simulation:
    """A run of one system, as ``mdrun run.toml`` runs it: with the same files, to the same bits.

    The run goes on in a thread of its own while :meth:`run` waits for it; in between it stands still. It is closed when its
    last step is taken, by :meth:`close`, at the end of a ``with`` block, or when the interpreter ends: what it has reached
    then is complete, and ``mdrun resume`` or ``entry="resume"`` goes on from there.

    ::

        with mdrun.Simulation("run.toml") as simulation:
            simulation.observe(lambda state: print(state.step, state.temperature), every=100)
            simulation.run()

    :param config: a run file, or its tables as a dictionary; then paths are relative to the process, and files go into
        ``trajectories/settings`` where ``config["output"]["directory"]`` says nothing else.
    :param set: what to change in it, by dotted keys: ``{"dynamics.steps": 100}``, as ``--set`` does.
    :param out: the directory to write into, in place of the run file's.
    :param member: of a run file of many systems, the one to run.
    :param entry: ``"begin"``, where no other run is; ``"replace"`` takes the place of another one, as ``--force`` does;
        ``"resume"`` goes on from the newest checkpoint, or begins.
    :param quiet: whether to print nothing but warnings; if not, the table and the summary of the command line.
    :raises InputError: the run file, the model or the device is wrong, or what is in the directory.
    """

    def __init__(
        self,
        config: Named | Mapping[str, Any],
        *,
        set: Mapping[str, Any] | None = None,
        out: Named | None = None,
        member: int | None = None,
        entry: str = "begin",
        quiet: bool = True,
    ) -> None:
        table = isinstance(config, Mapping)
        self._course = Course(
            {
                "config": None if table else os.fspath(config),  # type: ignore[arg-type]
                "settings": _json(config) if table else None,
                "overrides": [f"{key}={_json(value)}" for key, value in (set or {}).items()],
                "out": None if out is None else os.fspath(out),
                "member": member,
                "entry": entry,
                "quiet": quiet,
            }
        )
        # Also when the interpreter ends before this does.
        weakref.finalize(self, self._course.close)
        facts = self._course.facts()
        self._numbers: NDArray[np.uint8] = np.frombuffer(facts["numbers"], dtype=np.uint8)
        self._masses: Floats = np.frombuffer(facts["masses"])
        self._steps: int = facts["steps"]
        self._timestep: float = facts["timestep"]
        self._directory = Path(facts["directory"])
        self._notes: list[str] = facts["notes"]
        self._observers: list[tuple[int, Observer]] = []
        self._state: State | None = None
        self._status = "ready"
        self._summary: dict[str, Any] | None = None
        self._busy = False
        self._step = 0
        opened = self._next()
        if isinstance(opened, int):
            self._step = opened

    @property
    def numbers(self) -> NDArray[np.uint8]:
        """Atomic number of each atom."""
        return self._numbers

    @property
    def masses(self) -> Floats:
        """Mass of each atom (u)."""
        return self._masses

    @property
    def step(self) -> int:
        """Steps taken since the run began."""
        return self._step

    @property
    def steps(self) -> int:
        """Steps that the run has in all."""
        return self._steps

    @property
    def timestep(self) -> float:
        """Time step (fs)."""
        return self._timestep

    @property
    def directory(self) -> Path:
        """Where the run's files are."""
        return self._directory

    @property
    def notes(self) -> list[str]:
        """What there is to say of the run file: what was rounded, chosen or looks odd."""
        return self._notes

    @property
    def state(self) -> State | None:
        """The moment that the run has come to; ``None`` before :meth:`run` was called."""
        return self._state

    @property
    def status(self) -> str:
        """``"ready"`` for more steps, ``"complete"``, ``"interrupted"`` or ``"failed"``."""
        return self._status

    @property
    def summary(self) -> dict[str, Any] | None:
        """What ``mdrun --json`` prints at the end of a run: energies, drift, the verdict; ``None`` before that."""
        return self._summary

    def observe(self, observer: Observer, *, every: int) -> Observer:
        """Calls ``observer(state)`` after each step that is a multiple of ``every``, the first state included.

        It is called in the thread that called :meth:`run`. An exception that it raises ends the run, whose files are completed, and
        comes out of :meth:`run`. Nothing that it does changes the run.
        """
        if every < 1:
            raise InputError(f"every = {every}: a whole number of steps is wanted, 1 at the least")
        self._course.look_every(every)
        self._observers.append((every, observer))
        return observer

    def run(self, steps: int | None = None) -> State | None:
        """Takes so many steps, all that are left if not given, and returns the moment that it has come to.

        After the last step of the run its files are complete. Ctrl-C ends the run with a checkpoint, and is raised here.

        :raises InputError: no step is left.
        :raises RunError: a limit was broken, or something failed; what was reached is written.
        """
        self._check_ready(steps)
        until = self._steps if steps is None else min(self._step + steps, self._steps)
        self._busy = True
        try:
            return self._run(until)
        except BaseException as fault:
            if self._status == "ready":
                self._end_for(fault)
            raise
        finally:
            self._busy = False

    def stop(self) -> None:
        """Ends the run, from an observer too: a checkpoint is written, and the files are completed."""
        if self._status == "ready":
            self._course.stop("stop()")
            if not self._busy:
                self._drain()

    def close(self) -> None:
        """Ends the run where it stands, if it has not ended; a checkpoint is written then."""
        self.stop()
        self._course.close()

    def __enter__(self) -> Simulation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<mdrun.Simulation: step {self._step} of {self._steps}, {self._status}, in {self._directory}>"

    def _check_ready(self, steps: int | None) -> None:
        if self._busy:
            raise InputError("the run is going on: an observer cannot call run()")
        if self._status != "ready":
            raise InputError(
                f"the run is {self._status} after {self._step} steps: "
                'entry = "resume" goes on with it, set = {"dynamics.steps": N} makes it longer'
            )
        if steps is not None and steps < 1:
            raise InputError(f"steps = {steps}: a whole number is wanted, 1 at the least")

    def _run(self, until: int) -> State | None:
        self._course.go_on(until)
        while True:
            told = self._next()
            if isinstance(told, State):
                for every, observer in self._observers:
                    if told.step % every == 0:
                        observer(told)
                if until <= told.step < self._steps:
                    return told
                self._course.go_on(until)
            elif self._status == "failed":
                raise RunError(str(told))
            elif self._status != "ready":
                return self._state

    def _next(self) -> int | State | str | None:
        """What comes next: steps that the run was opened after, a moment, or why it ended."""
        try:
            told = self._course.wait()
        except (InputError, RunError):
            self._status = "failed"
            raise
        if isinstance(told, int):
            return told
        if "status" not in told:
            self._state = _state(told)
            self._step = self._state.step
            return self._state
        self._status = told["status"]
        self._step = told["steps"]
        self._summary = json.loads(told["summary"]) if told["summary"] else None
        stopped_by: str | None = told["stopped_by"]
        return stopped_by

    def _end_for(self, fault: BaseException) -> None:
        """Ends the run because of what was raised, and waits until its files are complete."""
        self._course.stop("Ctrl-C" if isinstance(fault, KeyboardInterrupt) else type(fault).__name__)
        self._drain()

    def _drain(self) -> None:
        """Waits for the end of a run that was asked to end. Who asks once more is heard after it: it takes no longer than steps do."""
        again: KeyboardInterrupt | None = None
        while self._status == "ready":
            try:
                self._next()
            except KeyboardInterrupt as fault:
                again = fault
        if again is not None:
            raise again


def _state(told: dict[str, Any]) -> State:
    for name in ("positions", "velocities", "forces", "cell", "stress"):
        if told[name] is not None:
            told[name] = np.frombuffer(told[name]).reshape(-1, 3)
    told["pbc"] = tuple(told["pbc"])
    return State(**told)


def _json(value: Any) -> str:
    """Text that is JSON and, for what is no table, TOML as well."""

    def plain(other: Any) -> Any:
        if isinstance(other, os.PathLike):
            return os.fspath(other)
        if isinstance(other, np.generic):
            return other.item()
        if isinstance(other, Mapping):
            return dict(other)
        if isinstance(other, (Sequence, np.ndarray)):
            return list(other)
        raise InputError(f"{other!r} is nothing that a run file can hold")

    return json.dumps(value, default=plain, ensure_ascii=False)
