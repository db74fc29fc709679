// A switch that takes a pair's energy smoothly to zero, and its slope: `Switch::at`.
__device__ __forceinline__ void switched(double r, double on, double width, double &value, double &slope) {
    const double x = (r - on) / width, rest = x * (1.0 - x);
    value = 1.0, slope = 0.0;
    if (x >= 1.0) {
        value = 0.0;
    } else if (x > 0.0) {
        value = 1.0 - x * x * x * (10.0 + x * (6.0 * x - 15.0));
        slope = -30.0 * rest * rest / width;
    }
}
