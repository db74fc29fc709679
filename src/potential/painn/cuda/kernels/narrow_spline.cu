// The filters of `spline.cu` in 16 bits: cubic B-splines in halves, on wide intervals, by one coefficient and the
// differences of four that follow each other. So a slope is made of numbers of its own size, and nothing cancels:
//
//     w = c1 - b0 D0 + (b2 + b3) D1 + b3 D2,    w' = (d0 D0 + d1 D1 + d2 D2) / h,    Dk = c(k+1) - ck,
//
// b the cubic B-splines at u of an interval, whose sum is 1, d the quadratic ones. A knot has four reads of 16 bytes for
// each of 8 lanes with four channels: D of the first two filters; their c; of the third D here and at the next knot; its D
// at the one after that and its c at the next. Behind the last knot there are some without anything, for pairs beyond the
// end of a row.

#if NARROW
static_assert(DEGREE == 3, "narrow splines are cubic");
constexpr int COEFFICIENTS = 32;                           // reads of one knot of a slice
constexpr int TABLE = (KNOTS + 2 * DEGREE) * COEFFICIENTS;   // of one slice
constexpr int NOTHING = KNOTS + DEGREE;

// Two halves, and two that are the same: the lower or the upper one of a pair.
__device__ __forceinline__ u32 two_halves(float x, float y) {
    u32 both;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(y), "f"(x));
    return both;
}
__device__ __forceinline__ u32 lower_twice(u32 v) { return __byte_perm(v, 0, 0x1010); }
__device__ __forceinline__ u32 upper_twice(u32 v) { return __byte_perm(v, 0, 0x3232); }
__device__ __forceinline__ u32 mul_halves(u32 a, u32 b) {
    u32 v;
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(v) : "r"(a), "r"(b));
    return v;
}
__device__ __forceinline__ u32 fma_halves(u32 a, u32 b, u32 c) {
    u32 v;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(v) : "r"(a), "r"(b), "r"(c));
    return v;
}
__device__ __forceinline__ float4 widen_four(uint2 v) {
    const float2 a = widen_halves(v.x), b = widen_halves(v.y);
    return make_float4(a.x, a.y, b.x, b.y);
}

// What is kept of a pair: what differences are multiplied with, and the knot. The first layer makes it for the others, which
// depend on the same distance.
typedef uint4 Where;
__device__ __forceinline__ Where where_is(float distance) {
    const float s = distance * N.knots_per_length;
    const int k = min(int(s), KNOTS - 1);
    const float u = s - float(k), v = 1.0f - u, u2 = u * u, v2 = v * v;
    const float b0 = v2 * v * (1.0f / 6.0f), b2 = fmaf(fmaf(0.5f, v, -1.0f), v2, 2.0f / 3.0f), b3 = u2 * u * (1.0f / 6.0f);
    return make_uint4(two_halves(-b0, b2 + b3), two_halves(b3, 0.5f * v2), two_halves(fmaf(u, v, 0.5f), 0.5f * u2), u32(k));
}

// The slope over the inverse of an interval, times a weight, summed over channels.
typedef float Along[1];

struct Spline {
    const uint4 *at;
    u32 b[3], d[3];

    __device__ Spline(const uint4 *table, Where where, bool inside) {
        at = table + (inside ? int(where.w) : NOTHING) * COEFFICIENTS;
        b[0] = lower_twice(where.x);
        b[1] = upper_twice(where.x);
        b[2] = lower_twice(where.y);
        d[0] = upper_twice(where.y);
        d[1] = lower_twice(where.z);
        d[2] = upper_twice(where.z);
    }

    static __device__ const uint4 *of_lane(const uint4 *table) { return table + lane_id() % 8; }

    // The coefficient and the differences of a filter, for four channels.
    __device__ void coefficients(int filter, uint2 &c, uint2 (&d)[3]) const {
        const auto half_of = [&](uint4 v) { return filter == 0 ? make_uint2(v.x, v.y) : make_uint2(v.z, v.w); };
        if (filter < 2) {
#pragma unroll
            for (int m = 0; m < 3; ++m) d[m] = half_of(at[m * COEFFICIENTS]);
            c = half_of(at[COEFFICIENTS + 8]);
        } else {
            const uint4 first = at[16], second = at[24];
            d[0] = make_uint2(first.x, first.y);
            d[1] = make_uint2(first.z, first.w);
            d[2] = make_uint2(second.x, second.y);
            c = make_uint2(second.z, second.w);
        }
    }

    __device__ float4 value(uint2 c, const uint2 (&d)[3]) const {
#pragma unroll
        for (int m = 0; m < 3; ++m) {
            c.x = fma_halves(b[m], d[m].x, c.x);
            c.y = fma_halves(b[m], d[m].y, c.y);
        }
        return widen_four(c);
    }

    __device__ float4 value(int filter) const {
        uint2 c, differences[3];
        coefficients(filter, c, differences);
        return value(c, differences);
    }

    // The value, and to `along` the slope times `weight`, summed over channels.
    __device__ float4 value(int filter, float4 weight, Along &along) const {
        uint2 c, differences[3];
        coefficients(filter, c, differences);
        uint2 sum = make_uint2(mul_halves(d[0], differences[0].x), mul_halves(d[0], differences[0].y));
#pragma unroll
        for (int m = 1; m < 3; ++m) {
            sum.x = fma_halves(d[m], differences[m].x, sum.x);
            sum.y = fma_halves(d[m], differences[m].y, sum.y);
        }
        const float4 s = widen_four(sum);
        along[0] = fmaf(weight.x, s.x, fmaf(weight.y, s.y, fmaf(weight.z, s.z, fmaf(weight.w, s.w, along[0]))));
        return value(c, differences);
    }

    __device__ float slope(const Along &along) const { return N.knots_per_length * along[0]; }
};
#endif
