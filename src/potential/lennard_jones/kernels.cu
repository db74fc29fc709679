// Kernels of Lennard-Jones: what a pair pushes is rounded to f32.

// The gradient of each pair: half of the slope, since each pair comes in both directions.
extern "C" __global__ void __launch_bounds__(256) lennard_jones() {
    follow();
    const int i = warp_of_grid();
    if (i >= E.atoms) return;
    row_of(i, [](u32 place, double, double slope) { E.push[place] = make_float4(0, 0, 0, float(0.5 * slope)); });
}

// The energy of each atom: half of that of its pairs, in the order of its row.
extern "C" __global__ void __launch_bounds__(256) energies() {
    const int i = warp_of_grid();
    if (i >= E.atoms) return;
    const double sum = half_energy(i);
    if (lane_id() == 0) E.energy[i] = sum;
}
