#!/usr/bin/env python3
"""Makes docs/gallery.md: runs four systems and shows their pictures, figures and commands.

    python3 docs/gallery.py mdrun

Every figure and every picture is what the commands that stand beside it have made. It needs Python alone, and takes minutes.
"""

import datetime
import json
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

DOCS = pathlib.Path(__file__).resolve().parent
STRUCTURES = DOCS.parent / "configs" / "structures"
FOLDER = "gallery"

# Name, title, what is to be seen, run file, what to analyse, and the pictures: of the run's page or of the analysis.
SYSTEMS = [
    (
        "ethanol",
        "Ethanol alone, at constant energy",
        "The energy is flat while potential and kinetic energy change places; the spectrum of velocities has the lines of the "
        "molecule, from the torsions to C-H and O-H.",
        """system.structure = "{structures}/ethanol.xyz"
system.velocities = {{ temperature = "300 K", seed = 1 }}
potential.model = "painn_hcno_gfn2"
dynamics = {{ ensemble = "nve", timestep = "0.5 fs", duration = "20 ps" }}
[output]
directory = "ethanol"
trajectory = [{{ format = "xyz", every = "2 fs", fields = ["velocities"] }}]
""",
        "spectrum",
        ["First state", "Total energy", "spectrum.svg"],
    ),
    (
        "dipeptide",
        "Alanine dipeptide at 300 K",
        "A Langevin thermostat. The kinetic energy has the distribution that the canonical ensemble says, whatever the potential.",
        """system.structure = "{structures}/alanine_dipeptide.xyz"
system.velocities = {{ temperature = "300 K", seed = 1 }}
potential.model = "painn_hcno_gfn2"
[dynamics]
ensemble = "langevin"
temperature = "300 K"
friction = "5 /ps"
seed = 1
timestep = "0.5 fs"
duration = "10 ps"
[output]
directory = "dipeptide"
trajectory = [{{ format = "dcd", every = "10 fs" }}]
""",
        "torsions --select C,N,O",
        ["Last state", "Distribution of the kinetic energy", "torsions.svg"],
    ),
    (
        "water",
        "64 waters, a liquid at 300 K",
        "Molecules are drawn whole across the faces of the cell. g(r) has the first shell of the oxygens at 2.8 A.",
        """system.structure = "{structures}/water64.xyz"
system.velocities = {{ temperature = "300 K", seed = 1 }}
potential.model = "painn_hcno_gfn2"
[dynamics]
ensemble = "langevin"
temperature = "300 K"
friction = "5 /ps"
seed = 1
timestep = "0.5 fs"
duration = "2 ps"
[output]
directory = "water"
trajectory = [{{ format = "dcd", every = "10 fs" }}]
""",
        "rdf",
        ["Last state", "Temperature", "rdf.svg"],
    ),
    (
        "argon",
        "256 argon atoms at 94 K and 1 bar",
        "Lennard-Jones, from a crystal: it melts, and the density settles under the barostat.",
        """system.structure = "{structures}/argon256.xyz"
system.velocities = {{ temperature = "184 K", seed = 1 }}
system.masses = {{ Ar = "39.948 u" }}
potential.lennard_jones = {{ epsilon = "0.0103408 eV", sigma = "3.405 A", cutoff = "10 A" }}
[dynamics]
ensemble = "npt"
temperature = "94 K"
pressure = "1 bar"
thermostat = "csvr"
relaxation = "0.2 ps"
seed = 1
barostat_relaxation = "2 ps"
compressibility = "2e-4 1/bar"
barostat_every = 10
coupling = "isotropic"
timestep = "4 fs"
duration = "200 ps"
skin = "0.8 A"
[output]
directory = "argon"
trajectory = [{{ format = "dcd", every = "400 fs" }}]
""",
        "rdf",
        ["Last state", "Density", "rdf.svg"],
    ),
]


def ran(command, folder):
    """Runs a command and gives what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: ended with {done.returncode}\n{done.stderr}")
    return done.stdout


def figure(page, title):
    """The picture under a title of a page, as a file of its own with the page's colours."""
    style = re.search(r"<style>(.*?)</style>", page, re.S).group(1)
    for caption, svg in re.findall(r"<figcaption>(.*?)</figcaption>\s*(<svg .*?</svg>)", page, re.S):
        if caption.startswith(title):
            return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
                ">", f"><style>{style}</style>", 1
            )
    sys.exit(f"the page has no picture {title}")


def told(summary):
    """The figures of a run."""
    lines = [f"{summary['atoms']} atoms, {summary['simulated_ps']:g} ps"]
    lines.append(f"mean temperature {summary['mean_temperature_k']:.1f} +- {summary['mean_temperature_stderr_k']:.1f} K")
    if summary["mean_density_g_cm3"] is not None:
        error = summary["mean_density_stderr_g_cm3"]
        lines.append(f"mean density {summary['mean_density_g_cm3']:.3f} +- {error:.3f} g/cm^3")
    lines.append(
        f"drift of what should be conserved {summary['energy_drift_mev_per_atom_ps']:.1e} +- "
        f"{summary['energy_drift_stderr']:.0e} meV/atom/ps"
    )
    return "; ".join(lines) + "."


def shown(mdrun, folder, system):
    """Runs a system, puts its pictures beside the page, and gives its part of the page."""
    name, title, words, text, what, pictures = system
    (folder / f"{name}.toml").write_text(text.format(structures=STRUCTURES))
    summary = json.loads(ran([mdrun, f"{name}.toml", "--json"], folder))
    ran([mdrun, "analyze", name, "--what", *what.split()], folder)
    page = (folder / name / "report.html").read_text()
    rows = []
    for k, picture in enumerate(pictures):
        file = f"{FOLDER}/{name}_{k + 1}.svg"
        if picture.endswith(".svg"):
            (DOCS / file).write_text((folder / name / "analysis" / picture).read_text())
        else:
            (DOCS / file).write_text(figure(page, picture))
        alt = picture.removesuffix(".svg")
        rows.append(f'<img src="{file}" width="32%" alt="{title}: {alt}">')
    file = text.format(structures="structures")
    commands = f"mdrun configs/{name}.toml\nmdrun analyze configs/{name} --what {what}"
    return "\n".join(
        [f"## {title}", "", words, "", *rows, "", told(summary), "", "```toml", file.rstrip(), "```", "", "```", commands, "```", ""]
    )


def processor():
    """What the machine calls its processor, and how many of it there are."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    names = re.findall(r"model name\s*: (.*)", text)
    return f"{len(names)} cores of {names[0]}" if names else platform.processor()


def main():
    mdrun = pathlib.Path(sys.argv[1]).resolve()
    (DOCS / FOLDER).mkdir(exist_ok=True)
    version = ran([mdrun, "--version"], ".").splitlines()[0]
    with tempfile.TemporaryDirectory() as folder:
        parts = [shown(mdrun, pathlib.Path(folder), system) for system in SYSTEMS]
    date = datetime.date.today().isoformat()
    head = f"""# Gallery

Four systems: what was run, what the run's own page ([report.md](report.md)) and `mdrun analyze` show of it. Made by `make gallery` on {processor()}, {date}, {version.split(' (')[0]}; run files are in `configs`.
"""
    (DOCS / "gallery.md").write_text("\n".join([head, *parts]))


if __name__ == "__main__":
    main()
