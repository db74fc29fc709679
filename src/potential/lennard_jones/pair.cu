// Lennard-Jones, switched off before the cutoff as in `mod.rs`.

__constant__ LennardJones L;

// Energy and slope of two atoms at a distance.
__device__ __forceinline__ void pair_at(int, int, double r, double &energy, double &slope) {
    const double part = L.sigma / r, square = part * part, sixth = square * square * square;
    const double u = 4.0 * L.epsilon * sixth * (sixth - 1.0), du = -24.0 * L.epsilon * sixth * (2.0 * sixth - 1.0) / r;
    double value, change;
    switched(r, L.on, L.width, value, change);
    energy = u * value;
    slope = du * value + u * change;
}
