// Lennard-Jones, switched off before the cutoff as in `mod.rs`. Distances are formed from positions in f64, not taken from
// `geometry`; what a pair pushes is rounded to f32.

__constant__ LennardJones L;

// Energy and slope of two atoms at a distance.
__device__ __forceinline__ void pair_at(double r, double &energy, double &slope) {
    const double part = L.sigma / r, square = part * part, sixth = square * square * square;
    const double u = 4.0 * L.epsilon * sixth * (sixth - 1.0), du = -24.0 * L.epsilon * sixth * (2.0 * sixth - 1.0) / r;
    const double x = (r - L.on) / L.width;
    double value = 1.0, change = 0.0;
    if (x >= 1.0) {
        value = 0.0;
    } else if (x > 0.0) {
        const double rest = x * (1.0 - x);
        value = 1.0 - x * x * x * (10.0 + x * (6.0 * x - 15.0));
        change = -30.0 * rest * rest / L.width;
    }
    energy = u * value;
    slope = du * value + u * change;
}

// A warp for each row: calls found(place in the list, energy, slope) for its pairs within the cutoff, lane by lane.
template <class Found> __device__ __forceinline__ void row_of(int i, Found found) {
    const u32 start = E.rows[i], end = start + E.active[i];
    const Lattice h = lattice();
    for (u32 at = start + lane_id(); at < end; at += WARP) {
        const uint2 pair = E.pair[at];
        double r[3], energy, slope;
        separation(h, i, pair.x, E.image[pair.y], r);
        pair_at(sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), energy, slope);
        found(pair.y, energy, slope);
    }
}

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
    double sum = 0.0;
    row_of(i, [&](u32, double energy, double) { sum += 0.5 * energy; });
    sum = warp_sum(sum);
    if (lane_id() == 0) E.energy[i] = sum;
}
