"""Makes schnet.model.safetensors and schnet.safetensors: a small SchNet of random weights, and the energies, forces and strain
derivatives that PyTorch gives for it in double precision, by automatic differentiation.

    python3 -m venv v && v/bin/pip install torch numpy safetensors && v/bin/python tests/data/schnet_reference.py

The network is written out here from the papers (Schuett et al., NeurIPS 2017; J. Chem. Phys. 148, 241722 (2018)), with
SchNetPack's parameter names; pairs are found by trying all images.
"""

import json
import math
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
FEATURES, LAYERS, FUNCTIONS, CUTOFF, MEAN = 24, 2, 10, 4.5, -1.5
SYMBOLS = {"H": 1, "C": 6, "N": 7, "O": 8}
torch.set_default_dtype(torch.float64)


def weights(seed):
    draw = np.random.default_rng(seed)

    def uniform(*shape, bound):
        return draw.uniform(-bound, bound, shape).astype(np.float32)

    def linear(name, inputs, outputs, bias=True, scale=1.0):
        w[name + ".weight"] = uniform(outputs, inputs, bound=scale * math.sqrt(3 / inputs))
        if bias:
            w[name + ".bias"] = uniform(outputs, bound=0.3 * scale)

    w = {"representation.embedding.weight": uniform(10, FEATURES, bound=math.sqrt(3))}
    w["representation.radial_basis.offsets"] = np.linspace(0, CUTOFF, FUNCTIONS, dtype=np.float32)
    w["representation.radial_basis.widths"] = np.full(FUNCTIONS, CUTOFF / (FUNCTIONS - 1), np.float32)
    w["representation.cutoff_fn.cutoff"] = np.array([CUTOFF], np.float32)
    for l in range(LAYERS):
        at = f"representation.interactions.{l}."
        linear(at + "in2f", FEATURES, FEATURES, bias=False)
        linear(at + "filter_network.0", FUNCTIONS, FEATURES)
        linear(at + "filter_network.1", FEATURES, FEATURES, scale=0.25)
        linear(at + "f2out.0", FEATURES, FEATURES)
        linear(at + "f2out.1", FEATURES, FEATURES)
    linear("output_modules.0.outnet.0", FEATURES, FEATURES // 2)
    linear("output_modules.0.outnet.1", FEATURES // 2, 1)
    return w


def softplus(x):
    return torch.nn.functional.softplus(x, threshold=700) - math.log(2)


def energy(w, z, i, j, r):
    """The energy of atoms with pairs i <- j at vectors r."""

    def apply(name, x):
        y = x @ w[name + ".weight"].T
        return y + w[name + ".bias"] if name + ".bias" in w else y

    d = r.norm(dim=1)
    offsets, widths = (w["representation.radial_basis." + part] for part in ("offsets", "widths"))
    basis = torch.exp(-0.5 * ((d[:, None] - offsets) / widths) ** 2)
    cut = 0.5 * (torch.cos(math.pi * d / CUTOFF) + 1)
    x = w["representation.embedding.weight"][z]
    for l in range(LAYERS):
        at = f"representation.interactions.{l}."
        filters = apply(at + "filter_network.1", softplus(apply(at + "filter_network.0", basis))) * cut[:, None]
        sent = apply(at + "in2f", x)[j] * filters
        gathered = torch.zeros_like(x).index_add(0, i, sent)
        x = x + apply(at + "f2out.1", softplus(apply(at + "f2out.0", gathered)))
    hidden = torch.nn.functional.silu(apply("output_modules.0.outnet.0", x))
    return apply("output_modules.0.outnet.1", hidden).sum() + MEAN * len(z)


def pairs(positions, cell, periodic):
    reach = [range(-3, 4) if p else range(1) for p in periodic]
    found = []
    for n in ((a, b, c) for a in reach[0] for b in reach[1] for c in reach[2]):
        shift = np.array(n) @ cell
        vectors = positions[None, :] + shift - positions[:, None]
        d = np.linalg.norm(vectors, axis=2)
        for i, j in zip(*np.where((d < CUTOFF) & (d > 1e-9))):
            found.append((i, j, shift))
    return found


def reference(w, z, positions, cell, periodic):
    found = pairs(positions, cell, periodic)
    strain = torch.zeros(3, 3, requires_grad=True)
    r = torch.tensor(positions, requires_grad=True)
    i = torch.tensor([p[0] for p in found], dtype=torch.long)
    j = torch.tensor([p[1] for p in found], dtype=torch.long)
    shifts = torch.tensor(np.array([p[2] for p in found]).reshape(-1, 3))
    vectors = (r[j] - r[i] + shifts) @ (torch.eye(3) + strain).T
    total = energy(w, torch.tensor(z, dtype=torch.long), i, j, vectors)
    if found:
        gradient, derivative = torch.autograd.grad(total, (r, strain))
    else:
        gradient, derivative = torch.zeros_like(r), torch.zeros(3, 3)
    return {
        "Z": np.array(z, np.int64),
        "R": positions,
        "cell": cell,
        "pbc": np.array(periodic, np.int64),
        "pairs": np.array([len(found)], np.int64),
        "E": np.array([total.item()]),
        "F": -gradient.detach().numpy(),
        # Row a, column b: sum over pairs of r_a dE/dr_b.
        "dEdstrain": derivative.detach().numpy().T.copy(),
    }


def ethanol():
    lines = (HERE / "../../configs/structures/ethanol.xyz").read_text().splitlines()
    atoms = [line.split() for line in lines[2 : 2 + int(lines[0])]]
    return [SYMBOLS[a[0]] for a in atoms], np.array([[float(x) for x in a[1:4]] for a in atoms])


def main():
    draw = np.random.default_rng(7)
    stored = weights(5)
    w = {name: torch.tensor(value.astype(np.float64)) for name, value in stored.items()}
    z, positions = ethanol()
    shaken = positions + 0.05 * draw.normal(size=positions.shape)
    skew = np.array([[6.0, 0.0, 0.0], [1.5, 5.0, 0.0], [-0.8, 0.6, 5.5]])
    none = np.zeros((3, 3))
    apart = np.array([[0.0, 0, 0], [10, 0, 0], [0, 20, 0]])
    scenes = {
        "apart": ([1, 6, 8], apart, none, (0, 0, 0)),
        "ethanol": (z, shaken, none, (0, 0, 0)),
        "slab": (z, shaken, skew, (1, 1, 0)),
        "triclinic_small": (z, shaken, 0.9 * skew, (1, 1, 1)),
        "wire": (z, shaken, skew, (1, 0, 0)),
    }
    tensors = {}
    for name, scene in scenes.items():
        for part, value in reference(w, *scene).items():
            tensors[f"{name}.{part}"] = np.ascontiguousarray(value)
        print(name, tensors[f"{name}.pairs"], tensors[f"{name}.E"], np.abs(tensors[f"{name}.F"]).max())
    save_file(tensors, HERE / "schnet.safetensors")
    says = {
        "cutoff": CUTOFF,
        "energy_unit": "eV",
        "distance_unit": "Ang",
        "elements": list(SYMBOLS),
        "mean_per_atom": MEAN,
        "source": "random weights",
    }
    save_file(stored, HERE / "schnet.model.safetensors", {"schnet": json.dumps(says)})


if __name__ == "__main__":
    main()
