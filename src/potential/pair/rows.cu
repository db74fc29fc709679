// Sums over pairs of a function of their distance, `pair_at(i, j, r, energy, slope)`, which stands before this text.
// Distances are formed from positions in f64, not taken from `geometry`.

// A warp for each row: calls found(place in the list, energy, slope) for its pairs within the cutoff, lane by lane.
template <class Found> __device__ __forceinline__ void row_of(int i, Found found) {
    const u32 start = E.rows[i], end = start + E.active[i];
    const Lattice h = lattice(member_of(i));
    for (u32 at = start + lane_id(); at < end; at += WARP) {
        const uint2 pair = E.pair[at];
        double r[3], energy, slope;
        separation(h, i, pair.x, E.image[pair.y], r);
        pair_at(i, pair.x, sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), energy, slope);
        found(pair.y, energy, slope);
    }
}

// Half of the energy of the pairs of a row, in their order.
__device__ __forceinline__ double half_energy(int i) {
    double sum = 0.0;
    row_of(i, [&](u32, double energy, double) { sum += 0.5 * energy; });
    return warp_sum(sum);
}
