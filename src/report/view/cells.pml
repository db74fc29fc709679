# Extended XYZ tells cells where PyMOL does not look, and is in the run's own frame of reference.
python
def mdrun_cells(name, path, state, stride, each):
    import math, re
    dot = lambda u, v: sum(p * q for p, q in zip(u, v))
    cross = lambda u, v: [u[k - 2] * v[k - 1] - u[k - 1] * v[k - 2] for k in range(3)]
    unit = lambda u: [p / math.sqrt(dot(u, u)) for p in u]
    angle = lambda u, v: math.degrees(math.acos(dot(unit(u), unit(v))))
    def lattices(file):
        while True:
            atoms, comment = file.readline(), file.readline()
            found = re.search('Lattice="([^"]*)"', comment)
            if not found:
                return
            yield [float(word) for word in found.group(1).split()]
            for _ in range(int(atoms)):
                file.readline()
    def standard(numbers):
        a, b, c = numbers[:3], numbers[3:6], numbers[6:]
        if dot(cross(a, b), c) < 0:
            c = [-p for p in c]
        x, z = unit(a), unit(cross(a, b))
        matrix = x + [0.0] + cross(z, x) + [0.0] + z + [0.0] + [0.0, 0.0, 0.0, 1.0]
        return [math.sqrt(dot(v, v)) for v in (a, b, c)] + [angle(b, c), angle(a, c), angle(a, b)], matrix
    if not os.path.exists(path):
        return
    with open(path) as file:
        frames = lattices(file)
        numbers = next(frames, None)
        for state in range(state, cmd.count_states(name) + 1):
            if numbers is None:
                return
            cell, matrix = standard(numbers)
            cmd.set_symmetry(name, *cell, "P 1", state)
            cmd.transform_selection(name, matrix, state, homogenous=1)
            for _ in range(stride if each else 0):
                numbers = next(frames, None)
python end
