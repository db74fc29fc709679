// A term of pairs beside a potential that has written its gradients and energies.

// Adds half of the slope of each pair to the first part of its gradient, since each pair comes in both directions.
extern "C" __global__ void __launch_bounds__(256) beside() {
    follow();
    const int i = warp_of_grid();
    if (i >= E.atoms) return;
    row_of(i, [](u32 place, double, double slope) { E.push[size_t(place) * BESIDE_PARTS].w += float(0.5 * slope); });
}

// Adds half of the energy of its pairs to the energy of each atom.
extern "C" __global__ void __launch_bounds__(256) beside_energies() {
    const int i = warp_of_grid();
    if (i >= E.atoms) return;
    const double sum = half_energy(i);
    if (lane_id() == 0) E.energy[i] += sum;
}
