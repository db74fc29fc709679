// The energy of each atom: the last layer of the readout, whose hidden layers the way there has left.

// A warp each; its lanes share the sum in a fixed order.
extern "C" __global__ void __launch_bounds__(256) energies() {
    const int i = warp_of_grid(), lane = lane_id();
    if (i >= E.atoms) return;
    double energy = 0.0;
#if HEADS > 0
    const Head &head = N.head[HEADS - 1];
    for (int k = lane; k < head.outputs; k += WARP) {
        const float h = head.h[size_t(i) * head.outputs + k];
        energy += double(N.head_out[k]) * double(h) / (1.0 + exp(-double(h)));
    }
#else
    for (int k = lane; k < F; k += WARP) energy += double(N.head_out[k]) * ld1(N.q + size_t(i) * F + k);
#endif
    energy = warp_sum(energy);
    if (lane == 0) E.energy[i] = energy;
}
