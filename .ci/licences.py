#!/usr/bin/env python3
"""Prints the licences of all that is linked into the program and into the Python package: THIRD-PARTY.txt of a release.

python3 .ci/licences.py [--also NAME=FILE]... > THIRD-PARTY.txt

Crates are found with `cargo tree`, their texts are the files that they bring themselves, and the toolchain has those of Rust's
standard library. A text that many crates bring is printed once. A crate without any has the texts of its neighbours in the same
repository, else those of its licence; where there is neither, it is an error: nothing is left out in silence.
"""

import argparse
import html.parser
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What is given away, and what it runs on.
PACKAGES = ["mdrun", "mdrun-python"]
PLATFORM = "x86_64-unknown-linux-gnu"
# Files with licences and what these ask to be handed on.
LICENCE = re.compile(r"(un)?licen[cs]e|copying|copyright|notice|patents", re.IGNORECASE)
# Endings of such files; others are sources that are called so.
ENDINGS = {"", ".md", ".txt", ".rst", ".html"}
RULE = "=" * 100


def die(words: str) -> None:
    sys.exit(f"licences: {words}")


def output(*command: str) -> str:
    try:
        return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        die(f"{' '.join(command)}: {error}")


def linked() -> list[dict]:
    """The crates behind PACKAGES, theirs left out: name and version, licence, repository, and the folder of the sources. `cargo metadata`
    would fetch some 300 that are never built, to tell that."""
    cargo = os.environ.get("CARGO", "cargo")
    packages = [word for name in PACKAGES for word in ("--package", name)]
    options = ["--edges", "normal", "--target", PLATFORM, "--prefix", "none", "--format", "{p}|{l}|{r}"]
    registry = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry/src"
    crates = {}
    for line in filter(None, output(cargo, "tree", "--locked", *packages, *options).splitlines()):
        words, licence, repository = line.removesuffix(" (*)").split("|")
        name, version = words.split()[0], words.split()[1].removeprefix("v")
        if name in PACKAGES:
            continue
        folders = sorted(registry.glob(f"*/{name}-{version}"))
        if not folders:
            die(f"{registry} has no sources of {name} {version}; cargo fetch --locked fetches them, vendored ones are not looked for")
        crates[name, version] = {"name": f"{name} {version}", "licence": licence, "repository": repository, "folder": folders[0]}
    return [crates[key] for key in sorted(crates)]


def read(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def brought(crate: dict) -> list[str]:
    """The texts in the crate's folder, at any depth: what it has taken over from others is there too."""
    folder = crate["folder"]
    files = {path for path in folder.rglob("*") if LICENCE.match(path.name) and path.suffix.lower() in ENDINGS}
    named = re.search(r'^license-file = "(.*)"$', read(folder / "Cargo.toml"), re.MULTILINE)
    if named:
        files.add(folder / named[1])
    # A link that leads out of the package is a short file there.
    return [text for text in (read(path) for path in sorted(files) if path.is_file()) if len(text) > 100]


def repository(crate: dict) -> str:
    """Owner and name of the repository, without the crate's folder in it."""
    parts = crate["repository"].removesuffix("/").removesuffix(".git").split("/")
    return "/".join(parts[:5]).lower() if len(parts) >= 5 else ""


def texts_of(crates: list[dict]) -> dict[str, list[str]]:
    """The texts of each crate, by name and version."""
    texts = {crate["name"]: brought(crate) for crate in crates}
    neighbours: dict[str, list[str]] = {}
    for crate in crates:
        if repository(crate):
            neighbours[repository(crate)] = neighbours.get(repository(crate)) or texts[crate["name"]]
    for crate in crates:
        name = crate["name"]
        found = texts[name] or neighbours.get(repository(crate), [])
        # This licence's text is the same for everybody, and names nobody.
        if not found and "Apache-2.0" in re.split(r"[^\w.-]+", crate["licence"]):
            found = [read(ROOT / "LICENSE-APACHE")]
        if not found:
            die(f"{name} ({crate['licence']}) brings no text, and nor does a neighbour; say in .ci/licences.py what its licence is")
        texts[name] = found
    return texts


class Plain(html.parser.HTMLParser):
    """The text of a page, a line for each paragraph."""

    BLOCKS = {"p", "div", "li", "h1", "h2", "h3", "h4", "pre", "summary", "details", "br"}

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.kept = 0
        self.title = False

    def handle_starttag(self, tag: str, attributes: list) -> None:
        # The title stands over the text again.
        self.title = tag == "title"
        self.kept += tag == "pre"
        self.parts += ["\n"] if tag in self.BLOCKS else []

    def handle_endtag(self, tag: str) -> None:
        self.title = False
        self.kept -= tag == "pre"
        self.parts += ["\n"] if tag in self.BLOCKS else []

    def handle_data(self, data: str) -> None:
        if not self.title:
            self.parts.append(data if self.kept else re.sub(r"\s+", " ", data))

    def text(self) -> str:
        lines = [line.rstrip() if line.strip() else "" for line in "".join(self.parts).splitlines()]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def standard_library() -> str:
    """What the toolchain says of Rust's standard library, which is in every program."""
    page = Path(output("rustc", "--print", "sysroot").strip()) / "share/doc/rust/COPYRIGHT-library.html"
    if not page.is_file():
        die(f"the toolchain has no {page.name}; install one with rustup, whose share/doc/rust has it")
    plain = Plain()
    plain.feed(page.read_text(encoding="utf-8"))
    return plain.text()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--also", action="append", default=[], metavar="NAME=FILE", help="what else is linked in, and its licence")
    also = [words.partition("=")[::2] for words in parser.parse_args().also]
    crates = linked()
    texts = texts_of(crates)
    # A text that differs in blanks alone is the same.
    numbers: dict[str, int] = {}
    whole: list[tuple[str, list[str]]] = []
    table = []
    for crate in crates:
        name = crate["name"]
        of_crate = []
        for text in texts[name]:
            key = " ".join(text.split()).lower()
            if key not in numbers:
                whole.append((text, []))
                numbers[key] = len(whole)
            whole[numbers[key] - 1][1].append(name)
            of_crate.append(numbers[key])
        table.append(f"{name:40}  {crate['licence'] or 'see its text':51}  {', '.join(map(str, sorted(set(of_crate))))}")
    print("Licences of what is linked into mdrun, which is itself under MIT or Apache-2.0 (LICENSE-MIT, LICENSE-APACHE).\n")
    print(f"{'crate':40}  {'licence':51}  texts below", *table, "", sep="\n")
    print("Each crate's sources, unchanged, are in Rust's registry of crates under its name and version. Rust's standard library, and")
    print("what else is linked in, stand behind the crates' texts.\n")
    for number, (text, names) in enumerate(whole, 1):
        print(RULE, f"Text {number}, of {', '.join(dict.fromkeys(names))}", RULE, text, "", sep="\n")
    for name, file in also:
        print(RULE, name, RULE, read(Path(file)), "", sep="\n")
    print(RULE, "Rust's standard library", RULE, standard_library(), sep="\n")


main()
