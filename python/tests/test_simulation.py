"""Runs from Python: the files of the program, steps in pieces, observers, and every way in which a run ends."""

import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import ase.io
import ase.units
import numpy as np
import pytest

import mdrun

from conftest import ROOT, STRUCTURES

SETTINGS = {
    "system": {"structure": STRUCTURES / "ethanol.xyz", "velocities": {"temperature": "300 K", "seed": 1}},
    "potential": {"model": "painn_hcno_gfn2"},
    "dynamics": {
        "ensemble": "langevin",
        "temperature": "300 K",
        "friction": "10 1/ps",
        "seed": 1,
        "timestep": "0.5 fs",
        "steps": 200,
    },
    "output": {
        "thermo_every": 10,
        "trajectory": [
            {"format": "dcd", "every": 20},
            {"format": "xyz", "every": 20, "fields": ["velocities", "forces"]},
        ],
    },
}
FILES = ["traj.dcd", "traj.xyz", "final.xyz", "topology.pdb"]


def thermo(directory):
    return (Path(directory) / "thermo.csv").read_text()


def assert_same(one, other):
    for name in FILES:
        assert (Path(one) / name).read_bytes() == (Path(other) / name).read_bytes(), name
    assert thermo(one) == thermo(other)


@pytest.fixture
def run_file(tmp_path):
    """A run file of the settings, and the directory of what the program makes of it."""
    path = tmp_path / "run.toml"
    lines = [
        f'system.structure = "{STRUCTURES / "ethanol.xyz"}"',
        'system.velocities = { temperature = "300 K", seed = 1 }',
        'potential.model = "painn_hcno_gfn2"',
        'dynamics = { ensemble = "langevin", temperature = "300 K", friction = "10 1/ps", seed = 1, timestep = "0.5 fs", steps = 200 }',
        "output.thermo_every = 10",
        'output.trajectory = [{ format = "dcd", every = 20 }, { format = "xyz", every = 20, fields = ["velocities", "forces"] }]',
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def of_the_program(program, run_file, tmp_path):
    program(run_file, "--out", tmp_path / "program", "--quiet")
    return tmp_path / "program"


def test_files_are_those_of_the_program(run_file, of_the_program, tmp_path):
    with mdrun.Simulation(run_file, out=tmp_path / "python") as simulation:
        assert (simulation.step, simulation.steps, simulation.status) == (0, 200, "ready")
        assert simulation.timestep == pytest.approx(0.5) and simulation.state is None
        state = simulation.run()
    assert (simulation.step, simulation.status) == (200, "complete")
    assert state is simulation.state and state.step == 200
    assert_same(simulation.directory, of_the_program)
    record = json.loads((tmp_path / "python/run.json").read_text())
    assert record["status"] == "complete"
    assert simulation.summary["steps"] == 200


def test_pieces_and_observers_change_nothing(run_file, of_the_program, tmp_path):
    seen, often = [], []
    with mdrun.Simulation(run_file, out=tmp_path / "pieces") as simulation:
        simulation.observe(seen.append, every=25)
        for steps in (1, 1, 18, 3, 60):
            before = simulation.step
            assert simulation.run(steps).step == simulation.step == before + steps
        simulation.observe(lambda state: often.append(state.step), every=7)
        assert simulation.run(10_000).step == 200
    assert [state.step for state in seen] == list(range(0, 201, 25))
    assert often == list(range(84, 201, 7))
    assert_same(tmp_path / "pieces", of_the_program)


def test_a_dictionary_is_a_run_file(of_the_program, tmp_path, monkeypatch):
    with mdrun.Simulation(SETTINGS, out=tmp_path / "settings") as simulation:
        simulation.run()
    assert_same(tmp_path / "settings", of_the_program)
    monkeypatch.chdir(tmp_path)
    short = {"dynamics.steps": np.int64(3), "output.trajectory.0.every": 1}
    with mdrun.Simulation(SETTINGS, set=short) as simulation:
        simulation.run()
    assert simulation.step == 3
    assert simulation.directory.resolve() == tmp_path / "trajectories/settings"


def test_states_are_those_of_the_files(run_file, tmp_path):
    states = []
    with mdrun.Simulation(run_file, out=tmp_path / "run") as simulation:
        simulation.observe(states.append, every=20)
        simulation.run()
    frames = ase.io.read(tmp_path / "run/traj.xyz", ":")
    lines = [line.split(",") for line in thermo(tmp_path / "run").splitlines()]
    table = {int(line[0]): dict(zip(lines[0], line, strict=True)) for line in lines[1:]}
    assert len(states) == len(frames) == 11
    for state, frame in zip(states, frames, strict=True):
        assert np.array_equal(state.positions, frame.positions)
        assert np.abs(state.forces - frame.get_forces()).max() < 1e-12
        row = table[state.step]
        assert state.potential_energy == float(row["potential_energy_ev"])
        assert state.kinetic_energy == float(row["kinetic_energy_ev"])
        assert state.conserved_energy == float(row["conserved_energy_ev"])
        assert state.total_energy == float(row["total_energy_ev"])
        assert state.temperature == pytest.approx(float(row["temperature_k"]), rel=1e-6)
        assert state.time == pytest.approx(0.5 * state.step)
        assert state.pressure is state.stress is state.cell is None
        # The arrays agree with the scalars: units are what they are said to be.
        speeds = state.velocities / ase.units.fs
        kinetic = 0.5 * (simulation.masses[:, None] * speeds**2).sum()
        assert kinetic == pytest.approx(state.kinetic_energy, rel=1e-6)
        with pytest.raises(ValueError):
            state.positions[0] = 0
    found = mdrun.evaluate(frames[-1], precision="f32")
    assert np.abs(found.forces - states[-1].forces).max() < 1e-5
    assert list(simulation.numbers) == list(frames[0].numbers)


def test_a_cell_has_pressure_and_stress(tmp_path):
    settings = {
        "system": {"structure": STRUCTURES / "water64.xyz", "velocities": {"temperature": "300 K", "seed": 1}},
        "potential": {"model": "painn_hcno_gfn2"},
        "dynamics": {"ensemble": "nve", "timestep": "0.5 fs", "steps": 4},
        "output": {"thermo_every": 1},
    }
    with mdrun.Simulation(settings, out=tmp_path / "run") as simulation:
        state = simulation.run(4)
    assert state.cell.shape == state.stress.shape == (3, 3) and state.pbc == (True,) * 3
    last = dict(zip(*(line.split(",") for line in (thermo(tmp_path / "run").splitlines()[k] for k in (0, -1))), strict=True))
    assert state.pressure == pytest.approx(float(last["pressure_bar"]), rel=1e-6)
    volume = abs(np.linalg.det(state.cell))
    static = -np.trace(state.stress) / 3
    moving = 2 * state.kinetic_energy / (3 * volume)
    assert state.pressure == pytest.approx((static + moving) / (1e5 * ase.units.Pascal), rel=1e-2)


def test_what_an_observer_raises_ends_the_run(run_file, of_the_program, tmp_path):
    class Enough(Exception):
        pass

    def refuse(state):
        if state.step == 60:
            raise Enough(state.step)

    simulation = mdrun.Simulation(run_file, out=tmp_path / "run")
    simulation.observe(refuse, every=30)
    with pytest.raises(Enough, match="60"):
        simulation.run()
    assert (simulation.status, simulation.step) == ("interrupted", 60)
    assert simulation.summary["stopped_by"] == "Enough"
    with pytest.raises(mdrun.InputError, match="the run is interrupted after 60 steps"):
        simulation.run()
    # It goes on to the files of a run that nobody has ended.
    with mdrun.Simulation(run_file, out=tmp_path / "run", entry="resume") as again:
        assert again.step == 60
        assert again.run(5).step == 65
        again.run()
    assert_same(tmp_path / "run", of_the_program)


def test_that_it_has_ended_is_told_once_more(run_file, tmp_path):
    simulation = mdrun.Simulation(run_file, out=tmp_path / "run", set={"dynamics.steps": 2})
    simulation.run()
    # As where Ctrl-C comes between the word and the moment at which it is taken in.
    assert simulation._course.wait()["status"] == simulation._course.wait()["status"] == "complete"
    fails = mdrun.Simulation(run_file, out=tmp_path / "run")
    for _ in range(2):
        with pytest.raises(mdrun.InputError, match="already"):
            fails._course.go_on(1)
            fails._course.wait()


def test_stop_and_close(run_file, of_the_program, program, tmp_path):
    with mdrun.Simulation(run_file, out=tmp_path / "run") as simulation:
        simulation.observe(lambda state: simulation.stop(), every=50)
        simulation.run(49) if simulation.step else None
        assert simulation.run().step == 0
    assert simulation.status == "interrupted"
    with mdrun.Simulation(run_file, out=tmp_path / "run", entry="resume") as simulation:
        simulation.run(70)
    assert (simulation.status, simulation.step) == ("interrupted", 70)
    assert simulation.summary["stopped_by"] == "stop()"
    simulation.close()
    program("resume", tmp_path / "run", "--quiet")
    assert_same(tmp_path / "run", of_the_program)
    with mdrun.Simulation(run_file, out=tmp_path / "run", entry="resume") as simulation:
        assert simulation.step == 200
        assert simulation.run() is None
    assert simulation.status == "complete"


def test_one_that_is_not_run_leaves_nothing(run_file, tmp_path, capfd):
    simulation = mdrun.Simulation(run_file, out=tmp_path / "run")
    assert "step 0 of 200, ready" in repr(simulation)
    del simulation
    gc.collect()
    mdrun.Simulation(run_file, out=tmp_path / "run").close()
    assert not (tmp_path / "run").exists()
    assert capfd.readouterr() == ("", "")


def test_waiting_is_no_time_of_the_run(run_file, tmp_path):
    began = time.monotonic()
    with mdrun.Simulation(run_file, out=tmp_path / "run") as simulation:
        simulation.run(100)
        time.sleep(2)
        simulation.run()
    spent = time.monotonic() - began
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["timings_s"]["steps"] < spent - 1.9


def test_an_observer_cannot_step_the_run(run_file, tmp_path):
    with mdrun.Simulation(run_file, out=tmp_path / "run") as simulation:
        simulation.observe(lambda state: simulation.run(1), every=10)
        with pytest.raises(mdrun.InputError, match="an observer cannot call run"):
            simulation.run()


def test_simulations_run_side_by_side(run_file, of_the_program, tmp_path):
    simulations = [mdrun.Simulation(run_file, out=tmp_path / f"{k}") for k in range(3)]
    threads = [threading.Thread(target=simulation.run) for simulation in simulations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for simulation in simulations:
        assert_same(simulation.directory, of_the_program)


def test_a_member_of_many(tmp_path, program):
    path = tmp_path / "many.toml"
    path.write_text(
        f'system = {{ structure = "{STRUCTURES / "ethanol.xyz"}", replicas = 3, velocities = {{ temperature = "300 K", seed = 1 }} }}\n'
        'potential.model = "painn_hcno_gfn2"\n'
        'dynamics = { ensemble = "nve", timestep = "0.5 fs", steps = 20 }\n'
        'output.trajectory = [{ format = "dcd", every = 10 }]\n'
    )
    with pytest.raises(mdrun.InputError, match="is of many systems at once"):
        mdrun.Simulation(path)
    program(path, "--member", 2, "--out", tmp_path / "program", "--quiet")
    with mdrun.Simulation(path, member=2, out=tmp_path / "python") as simulation:
        simulation.run()
    for name in ("traj.dcd", "final.xyz"):
        assert (tmp_path / "python" / name).read_bytes() == (tmp_path / "program" / name).read_bytes()


class TestErrors:
    """The words of the command line."""

    @pytest.mark.parametrize(
        "setting",
        [
            {"dynamics.timestep": "0.5"},
            {"dynamics.steps": -1},
            {"dynamics.tempreature": "300 K"},
            {"potential.model": "painn_hcno_gfn2.safetensors"},
            {"system.structure": "none.xyz"},
            {"device.kind": "gpu"},
        ],
    )
    def test_of_settings(self, program, run_file, tmp_path, setting):
        with pytest.raises(mdrun.InputError) as fault:
            mdrun.Simulation(run_file, set=setting, out=tmp_path / "run")
        (key, value), = setting.items()
        done = program(run_file, "--set", f"{key}={json.dumps(value)}", "--out", tmp_path / "run", check=False)
        assert done.returncode == 2 and done.stderr == f"error: {fault.value}\n"
        assert not (tmp_path / "run").exists()

    def test_of_the_directory(self, program, run_file, of_the_program):
        simulation = mdrun.Simulation(run_file, out=of_the_program)
        with pytest.raises(mdrun.InputError) as fault:
            simulation.run()
        assert simulation.status == "failed"
        done = program(run_file, "--out", of_the_program, check=False)
        assert done.returncode == 2 and done.stderr == f"error: {fault.value}\n"
        with mdrun.Simulation(run_file, out=of_the_program, entry="replace", set={"dynamics.steps": 1}) as simulation:
            simulation.run()
        assert simulation.status == "complete"

    def test_of_dictionaries(self, tmp_path):
        def told(settings, **more):
            with pytest.raises(mdrun.InputError) as fault:
                mdrun.Simulation(settings, out=tmp_path / "run", **more)
            return str(fault.value)

        assert told({}).startswith("settings: the table [system] is missing")
        assert "settings: dynamics.step: unknown key; did you mean \"steps\"?" in told(
            {**SETTINGS, "dynamics": {**SETTINGS["dynamics"], "step": 1}}
        )
        assert "nothing that a run file can hold" in told({"system": object()})
        assert told({"system": None}).startswith("settings: ")
        assert told(SETTINGS, entry="start") == 'entry = "start": begin, replace or resume is wanted'
        assert "member = 1" in told(SETTINGS, member=1)
        with pytest.raises(mdrun.InputError, match="no such run file"):
            mdrun.Simulation(tmp_path / "none.toml")

    def test_of_steps(self, run_file, tmp_path):
        with mdrun.Simulation(run_file, out=tmp_path / "run") as simulation:
            for steps in (0, -1):
                with pytest.raises(mdrun.InputError, match=f"steps = {steps}"):
                    simulation.run(steps)
            with pytest.raises(mdrun.InputError, match="every = 0"):
                simulation.observe(print, every=0)

    def test_of_a_limit_that_is_broken(self, program, run_file, tmp_path):
        setting = {"monitor.force": "1 eV/A", "monitor.action": "stop"}
        simulation = mdrun.Simulation(run_file, set=setting, out=tmp_path / "run")
        with pytest.raises(mdrun.RunError) as fault:
            simulation.run()
        assert isinstance(fault.value, RuntimeError) and simulation.status == "failed"
        flags = [word for key, value in setting.items() for word in ("--set", f"{key}={json.dumps(value)}")]
        done = program(run_file, *flags, "--out", tmp_path / "program", check=False)
        assert done.returncode == 1
        assert str(fault.value).replace(str(tmp_path / "run"), str(tmp_path / "program")) in done.stderr


def interrupted(script, after, folder):
    """What a script says that gets Ctrl-C so many seconds after it has said that it is ready."""
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder
    )
    assert child.stdout.readline() == "ready\n"
    time.sleep(after)
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=60)
    return said


def test_ctrl_c_ends_a_run_with_a_checkpoint(run_file, of_the_program, tmp_path):
    script = f"""
        import mdrun, sys
        simulation = mdrun.Simulation({str(run_file)!r}, out="run", set={{"dynamics.steps": 100_000_000}})
        print("ready", flush=True)
        try:
            simulation.run()
        except KeyboardInterrupt:
            print(simulation.status, simulation.summary["stopped_by"], simulation.step > 0)
    """
    assert interrupted(script, 1, tmp_path) == "interrupted Ctrl-C True\n"
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["status"] == "interrupted"
    # What was written up to there is what the undisturbed run has written.
    ours, theirs = ((folder / "traj.xyz").read_text() for folder in (tmp_path / "run", of_the_program))
    assert ours[: len(theirs)] == theirs[: len(ours)]


def test_ctrl_c_is_heard_between_structures(tmp_path):
    script = f"""
        import ase.io, mdrun, time
        frames = [ase.io.read({str(STRUCTURES / "ethanol.xyz")!r})] * 300_000
        potential = mdrun.Potential(threads=1)
        print("ready", flush=True)
        try:
            potential.evaluate(frames)
        except KeyboardInterrupt:
            print("heard")
    """
    assert interrupted(script, 2, tmp_path) == "heard\n"


def test_the_end_of_the_interpreter_closes_a_run(run_file, tmp_path):
    script = f"""
        import mdrun
        simulation = mdrun.Simulation({str(run_file)!r}, out="run")
        simulation.run(30)
        print("ready", flush=True)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "ready\n")
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["status"] == "interrupted" and record["summary"]["steps"] == 30
    assert (tmp_path / "run/final.xyz").exists()
