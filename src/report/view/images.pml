# Periodic images around a run: mdrun_images NAME.
python
def mdrun_images(name, most=20000000):
    import itertools, math
    def edges(state):
        a, b, c, *angles = cmd.get_symmetry(name, state)[:6]
        x, y, z = [math.cos(math.radians(angle)) for angle in angles]
        sine = math.sqrt(1 - z * z)
        w = (x - y * z) / sine
        return [a, 0, 0], [b * z, b * sine, 0], [c * y, c * w, c * math.sqrt(1 - y * y - w * w)]
    axes = [(-1, 0, 1) if periodic else (0,) for periodic in mdrun_periodic]
    steps = [step for step in itertools.product(*axes) if any(step)]
    states = list(range(1, cmd.count_states(name) + 1))
    # Of more coordinates than a viewer is to keep, those of the state that is shown stand for all.
    each = len(states) * cmd.count_atoms(name) * len(steps) <= int(most)
    for number, step in enumerate(steps, 1):
        image = "%s_image_%d" % (name, number)
        cmd.create(image, name, 0 if each else cmd.get_state(), 0 if each else 1, quiet=1, zoom=0)
        for state in states if each else [cmd.get_state()]:
            shift = [sum(n * edge[k] for n, edge in zip(step, edges(state))) for k in range(3)]
            cmd.translate(shift, image, state if each else 1, camera=0)
        cmd.hide("everything", image)
        cmd.show("lines", image)
        cmd.show("nonbonded", image)
    cmd.group(name + "_images", name + "_image_*", "close")
cmd.extend("mdrun_images", mdrun_images)
python end
