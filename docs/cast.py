#!/usr/bin/env python3
"""Runs a command in a terminal of 80 columns and draws what it prints, as it comes: SVG on standard output.

    python3 docs/cast.py mdrun configs/ethanol_nve.toml --force > docs/run.svg

The picture plays once and stays at its end; where nothing moves, its end is all there is. It needs Python alone.
"""

import html
import os
import pty
import re
import struct
import sys
import termios
import time
from fcntl import ioctl

COLUMNS, ROWS = 80, 28
# Size of a character, room around the text, and the bar above it (pixels).
WIDTH, HEIGHT, MARGIN, BAR = 8.4, 18, 16, 30
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "36": "#79c0ff"}
BACKGROUND, FOREGROUND, EDGE, FAINT = "#0d1117", "#d6dde5", "#484f58", "#9198a1"


def record(command):
    """What the command prints, in pieces with the time at which each came (s)."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ.pop("NO_COLOR", None)
        os.execvp(command[0], command)
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    start, pieces = time.monotonic(), []
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:  # the terminal's other end is closed
            break
        if not piece:
            break
        pieces.append((time.monotonic() - start, piece))
    _, status = os.waitpid(child, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)}: ended with {os.waitstatus_to_exitcode(status)}")
    return pieces


def lines(pieces):
    """The lines that stay, each with its time: what a carriage return or an erased line takes back is left out."""
    found, line = [], ""
    for moment, piece in pieces:
        text = piece.decode(errors="replace").replace("\r\n", "\n")
        for part in re.split(r"(\n|\r|\x1b\[2K)", text):
            if part == "\n":
                found.append((moment, line))
                line = ""
            elif part in ("\r", "\x1b[2K"):
                line = ""
            else:
                line += part
    return found


def spans(line):
    """A line as SVG, bold and in colours as the terminal would have it, and how many columns it takes."""
    style, out, columns = "", "", 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if code is None:
            columns += len(part)
            # Several blanks are drawn as one in SVG; blanks at which no line breaks are not.
            text = html.escape(part, quote=False).replace(" ", "\u00a0")
            out += f"<tspan{style}>{text}</tspan>" if style and text else text
            continue
        for number in code[1].split(";"):
            if number in ("", "0"):
                style = ""
            elif number == "1":
                style += ' font-weight="bold"'
            elif number in COLOURS:
                style += f' fill="{COLOURS[number]}"'
    return out, columns


def draw(title, found):
    """The picture of lines with their times, under a bar with a title."""
    width = COLUMNS * WIDTH + 2 * MARGIN
    top = BAR + MARGIN / 2
    height = top + ROWS * HEIGHT + MARGIN
    end = max(moment for moment, _ in found) + 0.5
    gone = max(0, len(found) - ROWS)
    # How far the text has moved up by a part of the time (%); of lines that come at once, the last counts.
    up = {f"{100 * moment / end:.1f}": HEIGHT * (k + 1 - ROWS) for k, (moment, _) in enumerate(found) if k >= ROWS}
    frames = [f"{part}%{{transform:translateY({-rise}px)}}" for part, rise in up.items()]
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f"font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"14\">"
    )
    yield "<style>"
    yield f"#all{{transform:translateY({-HEIGHT * gone}px)}}"
    yield "@media (prefers-reduced-motion: no-preference){"
    yield f"#all{{animation:scroll {end:.2f}s step-end both}}#all text{{animation:come 1ms step-end both}}"
    yield "@keyframes come{0%{visibility:hidden}100%{visibility:visible}}"
    yield "@keyframes scroll{0%{transform:none}" + "".join(frames) + "}"
    yield "}</style>"
    yield (
        f'<rect x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="8" fill="{BACKGROUND}" stroke="{EDGE}"/>'
    )
    yield f'<path d="M0.5 {BAR}.5H{width - 0.5:g}" stroke="{EDGE}"/>'
    yield f'<text x="{width / 2:g}" y="{0.66 * BAR:g}" text-anchor="middle" fill="{FAINT}">{html.escape(title)}</text>'
    yield f'<clipPath id="screen"><rect x="0" y="{top:g}" width="{width:g}" height="{ROWS * HEIGHT}"/></clipPath>'
    yield f'<g clip-path="url(#screen)"><g id="all" fill="{FOREGROUND}">'
    for k, (moment, line) in enumerate(found):
        text, columns = spans(line.strip())
        if columns:
            x = MARGIN + WIDTH * (len(line) - len(line.lstrip()))
            y = top + HEIGHT * (k + 0.75)
            yield (
                f'<text x="{x:g}" y="{y:g}" textLength="{columns * WIDTH:g}" lengthAdjust="spacingAndGlyphs" '
                f'style="animation-delay:{moment:.2f}s">{text}</text>'
            )
    yield "</g></g></svg>"


def main():
    command = sys.argv[1:]
    if not command:
        sys.exit(__doc__)
    shown = [os.path.basename(command[0])] + [word for word in command[1:] if word != "--force"]
    found = [(0.0, "$ " + " ".join(shown))] + lines(record(command))
    print("\n".join(draw(" ".join(shown), found)))


if __name__ == "__main__":
    main()
