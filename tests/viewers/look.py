"""Tells what PyMOL shows of a run after view.pml, and draws it.

usage: MDRUN_VIEW_OUT=FOLDER pymol -cq view.pml -r look.py

Writes FOLDER/look.json (objects, states, bonds, representations, cells and coordinates of the first and the last state) and
FOLDER/look.ppm, the picture on a background of its own.
"""

import json
import os

from pymol import cmd

names = cmd.get_names("objects")
name = names[0]
states = cmd.count_states(name)


# PyMOL sorts atoms by their names; the file's numbers tell which is which.
places = [0] * cmd.count_atoms(name)
numbers = []
cmd.iterate(name, "numbers.append(ID - 1)", space={"numbers": numbers})
for place, number in enumerate(numbers):
    places[number] = place


def coordinates(state):
    found = cmd.get_coords(name, state).tolist()
    return [found[place] for place in places]


def shown(representation):
    return cmd.count_atoms(f"{name} and rep {representation}")


report = {
    "names": [one for one in names if "_image_" not in one],
    "images": [(cmd.get_coords(one, states) - cmd.get_coords(name, states))[0].tolist() for one in names if "_image_" in one],
    "states": states,
    "atoms": cmd.count_atoms(name),
    "bonds": [[numbers[place] for place in bond[:2]] for bond in cmd.get_bonds(name)],
    "shown": {one: shown(one) for one in ("sticks", "spheres", "lines", "nonbonded", "nb_spheres")},
    "cells": [(cmd.get_symmetry(name, state) or [])[:6] for state in (1, states)],
    "coordinates": [coordinates(state) for state in (1, states)],
    "directory": os.getcwd(),
}
out = os.environ["MDRUN_VIEW_OUT"]
with open(os.path.join(out, "look.json"), "w", encoding="utf-8") as file:
    json.dump(report, file)
cmd.bg_color("black")
cmd.set("ray_opaque_background", 1)
cmd.set("max_threads", 2)
for picture in ("look.ppm", "look.png"):
    cmd.png(os.path.join(out, picture), width=480, height=360, ray=1, format=int(picture.endswith("ppm")))
