// Filters of KINDS kinds, three or one, as quintic B-splines of the distance on INTERVALS intervals, whose slopes are the
// exact derivatives: [slice][coefficient][kind][SLICE]. And which atom and channel a lane of a warp works on.

constexpr int ORDER = 6;                         // coefficients of a value
constexpr int COEFFICIENTS = KINDS * SLICE;      // of one knot of a slice
constexpr int TABLE = (INTERVALS + ORDER - 1) * COEFFICIENTS;

// Values of the uniform B-splines at part t of an interval, and their slopes; s = 1 - t.
__device__ __forceinline__ float inner(float t) {
    return 26.0f + t * (50.0f + t * (20.0f + t * (-20.0f + t * (-20.0f + t * 10.0f))));
}
__device__ __forceinline__ float outer(float t) {
    return 1.0f + t * (5.0f + t * (10.0f + t * (10.0f + t * (5.0f - 5.0f * t))));
}
__device__ __forceinline__ float inner_slope(float t) {
    return 10.0f + t * (8.0f + t * (-12.0f + t * (-16.0f + t * 10.0f)));
}
__device__ __forceinline__ float outer_slope(float t) { return 1.0f + t * (4.0f + t * (6.0f + t * (4.0f - 5.0f * t))); }

// Where on the splines a distance lies: the first of its coefficients, their weights and those of the slope.
struct Knot {
    const float *at;
    float b[ORDER], d[ORDER];

    __device__ Knot(const float *table, float distance) {
        const float x = distance * S.knots_per_length;
        const int k = min(int(x), INTERVALS - 1);
        const float t = x - float(k), s = 1.0f - t;
        const float scale = 1.0f / 120.0f, slope = S.knots_per_length / 24.0f;
        at = table + k * COEFFICIENTS;
        b[0] = scale * (s * s) * (s * s) * s;
        b[1] = scale * outer(s);
        b[2] = scale * inner(s);
        b[3] = scale * inner(t);
        b[4] = scale * outer(t);
        b[5] = scale * (t * t) * (t * t) * t;
        d[0] = -slope * (s * s) * (s * s);
        d[1] = -slope * outer_slope(s);
        d[2] = -slope * inner_slope(s);
        d[3] = slope * inner_slope(t);
        d[4] = slope * outer_slope(t);
        d[5] = slope * (t * t) * (t * t);
    }

    __device__ float value(int filter) const {
        float sum = 0.0f;
#pragma unroll
        for (int m = 0; m < ORDER; ++m) sum = fmaf(b[m], at[m * COEFFICIENTS + filter * SLICE], sum);
        return sum;
    }

    __device__ float value(int filter, float &slope) const {
        float sum = 0.0f;
        slope = 0.0f;
#pragma unroll
        for (int m = 0; m < ORDER; ++m) {
            const float c = at[m * COEFFICIENTS + filter * SLICE];
            sum = fmaf(b[m], c, sum);
            slope = fmaf(d[m], c, slope);
        }
        return sum;
    }
};

// The atom and the channel of a lane.
struct Place {
    int atom, slice, channel;
    __device__ Place() {
        const int unit = warp_of_grid();
        atom = unit / SLICES;
        slice = unit % SLICES;
        channel = slice * SLICE + lane_id();
    }
    __device__ const float *table(const float *all) const { return all + size_t(slice) * TABLE + lane_id(); }
};
