// Lennard-Jones, switched off before the cutoff as in `mod.rs`.

__constant__ LennardJones L;

// Energy and slope of two atoms at a distance.
__device__ __forceinline__ void pair_at(int, int, double r, double &energy, double &slope) {
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
