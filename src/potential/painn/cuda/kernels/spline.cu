// The filters w_k(d), k = 0, 1, 2, cut off and zero beyond: B-splines of the distance, of DEGREE 3 or 5 on KNOTS intervals,
// at least twice continuously differentiable, their slope the exact derivative.

#if !NARROW
constexpr int COEFFICIENTS = 3 * SLICE;               // of one knot of a slice
constexpr int TABLE = (KNOTS + DEGREE) * COEFFICIENTS;     // floats of one slice

// Values of the uniform B-splines of degree DEGREE at u of an interval, and their slopes; v = 1 - u. The second half are
// those of the first from the other side.
__device__ __forceinline__ void half_basis(float u, float v, float (&b)[DEGREE + 1], int first, int step) {
#if DEGREE == 3
    b[first] = v * v * v * (1.0f / 6.0f);
    b[first + step] = (0.5f * u - 1.0f) * u * u + 2.0f / 3.0f;
#else
    const float v2 = v * v, u2 = u * u;
    b[first] = v2 * v2 * v * (1.0f / 120.0f);
    b[first + step] = fmaf(
        u, fmaf(u, fmaf(u, fmaf(u, fmaf(u, 1.0f / 24.0f, -1.0f / 6.0f), 1.0f / 6.0f), 1.0f / 6.0f), -5.0f / 12.0f),
        13.0f / 60.0f);
    b[first + 2 * step] = fmaf(u2, fmaf(u2, fmaf(u, -1.0f / 12.0f, 0.25f), -0.5f), 0.55f);
#endif
}
__device__ __forceinline__ void half_slopes(float u, float v, float scale, float (&d)[DEGREE + 1], int first, int step) {
#if DEGREE == 3
    d[first] = scale * (-0.5f * v * v);
    d[first + step] = scale * ((1.5f * u - 2.0f) * u);
#else
    const float v2 = v * v, u2 = u * u;
    d[first] = scale * (v2 * v2 * (-1.0f / 24.0f));
    d[first + step] =
        scale * fmaf(u, fmaf(u, fmaf(u, fmaf(u, 5.0f / 24.0f, -2.0f / 3.0f), 0.5f), 1.0f / 3.0f), -5.0f / 12.0f);
    d[first + 2 * step] = scale * (u * fmaf(u2, fmaf(u, -5.0f / 12.0f, 1.0f), -1.0f));
#endif
}

// Four channels of what pairs multiply, as they are and as they are summed.
typedef float4 Quad;
__device__ __forceinline__ float4 wide(float4 v) { return v; }
__device__ __forceinline__ float4 quad(float4 v) { return v; }

// Sums over channels from which the slope is made, one for each coefficient: of what it has more than the middle one.
// Slopes of basis functions add up to nothing and are as large as knots are near; from the coefficients themselves the
// slope would be a small difference of large sums, with their rounding errors.
constexpr int MIDDLE = DEGREE / 2;
typedef float Along[DEGREE + 1];

// A table, in shared memory or not.
typedef const float *Table;
__device__ __forceinline__ Table table_at(const float *table) { return table; }

// What is kept of a pair: its distance.
typedef float Where;
__device__ __forceinline__ Where where_is(float distance) { return distance; }

// Where on the spline a distance lies: the first of its coefficients, their weights and slopes.
struct Spline {
    const float *at;
    float b[DEGREE + 1], d[DEGREE + 1];

    __device__ Spline(Table table, float distance, bool inside) {
        const float inverse_h = N.knots_per_length;
        const float s = distance * inverse_h;
        const int k = min(int(s), KNOTS - 1);
        const float u = s - float(k), v = 1.0f - u;
        const float slope = inside ? inverse_h : 0.0f;
        at = table + k * COEFFICIENTS;
        half_basis(u, v, b, 0, 1);
        half_basis(v, u, b, DEGREE, -1);
        half_slopes(u, v, slope, d, 0, 1);
        half_slopes(v, u, -slope, d, DEGREE, -1);
        if (!inside) {
#pragma unroll
            for (int m = 0; m <= DEGREE; ++m) b[m] = 0.0f;
        }
    }

    __device__ float4 value(int filter) const {
        float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll
        for (int m = 0; m <= DEGREE; ++m) {
            const float4 c = ld4(at + m * COEFFICIENTS + filter * SLICE);
            sum.x = fmaf(b[m], c.x, sum.x);
            sum.y = fmaf(b[m], c.y, sum.y);
            sum.z = fmaf(b[m], c.z, sum.z);
            sum.w = fmaf(b[m], c.w, sum.w);
        }
        return sum;
    }

    // The value, and what each coefficient adds to the slope times `weight`, summed over channels: the slopes of channels
    // are not needed.
    __device__ float4 value(int filter, float4 weight, Along &along) const {
        float4 sum = make_float4(0, 0, 0, 0);
        const float4 middle = ld4(at + MIDDLE * COEFFICIENTS + filter * SLICE);
#pragma unroll
        for (int m = 0; m <= DEGREE; ++m) {
            const float4 c = m == MIDDLE ? middle : ld4(at + m * COEFFICIENTS + filter * SLICE);
            sum.x = fmaf(b[m], c.x, sum.x);
            sum.y = fmaf(b[m], c.y, sum.y);
            sum.z = fmaf(b[m], c.z, sum.z);
            sum.w = fmaf(b[m], c.w, sum.w);
            if (m == MIDDLE) continue;
            const float4 more = make_float4(c.x - middle.x, c.y - middle.y, c.z - middle.z, c.w - middle.w);
            along[m] = fmaf(weight.x, more.x,
                            fmaf(weight.y, more.y, fmaf(weight.z, more.z, fmaf(weight.w, more.w, along[m]))));
        }
        return sum;
    }

    // Where a lane's channels begin.
    static __device__ Table of_lane(Table table) { return table + lane_id() % 8 * 4; }

    // What these sums over coefficients make of the slope.
    __device__ float slope(const Along &along) const {
        float sum = d[0] * along[0];
#pragma unroll
        for (int m = 1; m <= DEGREE; ++m) {
            if (m != MIDDLE) sum = fmaf(d[m], along[m], sum);
        }
        return sum;
    }
};
#endif
