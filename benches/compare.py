#!/usr/bin/env python3
"""Runs `mdrun bench` and a PyTorch PaiNN in turn on this machine and prints how they compare.

    benches/compare.py --peer PATH/torch_painn.py [--mdrun PATH] [--model FILE] [--sizes 9,21,...]
                       [--device cpu|cuda:0] [--modes eager,jit] [--rounds 3] [--iters 40] [--json FILE]

Needs numpy, scipy, safetensors and torch in the Python that runs it (or in the one that --python names).
torch's default wheel from PyPI wants the CUDA libraries at import, 3 GB of them. On a machine without a GPU
take the CPU wheel, or make empty stand-ins for the libraries and point LD_LIBRARY_PATH at them:

    python3 -m venv peer && peer/bin/pip install torch numpy scipy safetensors

The peer script is any program with the options --weights --sizes --modes --iters --device that prints one
JSON object a size with `atoms`, `pairs` and `MODE_ms`: energy and forces of fixed pairs in f32, on the
boxes that `mdrun bench` builds. The pair counts must agree, else nothing is compared.

Both programs see the same machine, so nothing else should run on it. They take turns, round by round; of
each size the best median of all rounds stands for a program, and the peer's best mode for the peer.
The machine's load is printed with the table: above 0.3 or so before the start, times mean little.
"""
import argparse, json, os, platform, subprocess, sys, tempfile
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def arguments():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--peer", required=True, type=Path, help="the peer's script")
    ap.add_argument("--python", default=sys.executable, help="Python with torch")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    ap.add_argument("--mdrun", type=Path, default=target / "release" / "mdrun")
    ap.add_argument("--model", type=Path, default=ROOT / "models" / "painn_hcno_gfn2.safetensors")
    ap.add_argument("--sizes", default="9,21,51,102,192")
    ap.add_argument("--device", default="cpu")
    ap.add_argument("--modes", default="eager,jit", help="the peer's ways to run; the fastest counts")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--iters", type=int, default=40)
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--json", type=Path)
    return ap.parse_args()


def run(command, environment=None):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nfailed:\n{done.stderr.strip()}")
    return done.stdout


def ours(a):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bench.json"
        run([a.mdrun, "bench", "--model", a.model, "--sizes", a.sizes, "--device", a.device,
             "--threads", a.threads, "--iters", a.iters, "--json", out])
        return {row["atoms"]: row for row in json.loads(out.read_text())}


def peers(a):
    device = "cuda" if a.device.startswith("cuda") else "cpu"
    command = [a.python, a.peer, "--device", device, "--sizes", a.sizes, "--modes", a.modes, "--iters", a.iters]
    if a.model.suffix == ".safetensors":
        command += ["--weights", a.model]
    environment = dict(os.environ, OMP_NUM_THREADS=str(a.threads))
    rows = [json.loads(line) for line in run(command, environment).splitlines() if line.startswith("{")]
    for row in rows:
        times = {mode: row[f"{mode}_ms"] for mode in a.modes.split(",") if f"{mode}_ms" in row}
        if not times:
            sys.exit(f"the peer ran in no mode at {row['atoms']} atoms: {row}")
        row["mode"], row["ms"] = min(times.items(), key=lambda item: item[1])
    return {row["atoms"]: row for row in rows}


def best(rounds, time):
    """Of every size, the row of the round in which it was fastest."""
    return {size: min((r[size] for r in rounds), key=time) for size in rounds[0]}


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    a = arguments()
    load = os.getloadavg()[0]
    mine, theirs = [], []
    for _ in range(a.rounds):
        theirs.append(peers(a))
        mine.append(ours(a))
    mine = best(mine, lambda row: row["energy_forces_ms"]["median"])
    theirs = best(theirs, lambda row: row["ms"])
    print(f"{processor()}, {a.threads} threads, {a.device}, {date.today()}, load {load:.2f} at the start\n")
    print("| atoms | pairs | peer (ms) | mdrun (ms) | ratio | NVE step (ms) | over the call | ns/day |")
    print("|---|---|---|---|---|---|---|---|")
    table = []
    for size, row in mine.items():
        peer = theirs.get(size)
        if peer is None or peer["pairs"] != row["pairs"]:
            sys.exit(f"{size} atoms: {row['pairs']} pairs here, the peer has {peer and peer['pairs']}: not the same box")
        call, step = row["energy_forces_ms"]["median"], row["step_ms"]["median"]
        print(f"| {size} | {row['pairs']} | {peer['ms']:.2f} ({peer['mode']}) | {call:.3f} | {peer['ms'] / call:.1f} "
              f"| {step:.3f} | {100 * (step / call - 1):+.0f} % | {row['ns_per_day']:.2f} |")
        table.append({"atoms": size, "peer_ms": peer["ms"], "peer_mode": peer["mode"], "mdrun": row})
    if a.json:
        a.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
