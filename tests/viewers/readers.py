"""Tells what VMD's molfile readers, which PyMOL has inside, make of a run's trajectories.

usage: MDRUN_VIEW_OUT=FOLDER pymol -cq readers.py

Reads topology.pdb and traj.dcd, traj.xtc and traj.xyz of the folder that it is in; writes FOLDER/readers.json: for each file the
coordinates and cells of its frames.
"""

import json
import os

from pymol import cmd

found = {}
for name in ("traj.dcd", "traj.xtc", "traj.xyz"):
    cmd.load("topology.pdb", "run")
    cmd.load_traj(name, "run", 1)
    states = range(1, cmd.count_states("run") + 1)
    found[name] = {
        "coordinates": [cmd.get_coords("run", state).tolist() for state in states],
        "cells": [cmd.get_symmetry("run", state)[:6] for state in states],
    }
    cmd.delete("run")
with open(os.path.join(os.environ["MDRUN_VIEW_OUT"], "readers.json"), "w", encoding="utf-8") as file:
    json.dump(found, file)
