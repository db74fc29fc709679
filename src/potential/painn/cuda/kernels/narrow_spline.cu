// The filters of `spline.cu` in 16 bits: quadratic B-splines in halves, by one coefficient and the differences of the three
// that follow each other. So a slope is made of numbers of its own size, and nothing cancels:
//
//     w = c1 - v^2 / 2 D0 + u^2 / 2 D1,    w' = (v D0 + u D1) / h,    Dk = c(k+1) - ck,
//
// u the place in an interval, v = 1 - u. A knot has three reads of 16 bytes for each of 8 lanes with four channels: D of the
// first two filters; their c; D and c of the third. An interval takes the D of its own knot, and all of the next one.
// Behind the last knot there are some without anything, for pairs beyond the end of a row.

#if NARROW
static_assert(DEGREE == 2, "narrow splines are quadratic");
constexpr int COEFFICIENTS = 24;                           // reads of one knot of a slice
constexpr int TABLE = (KNOTS + 2 * DEGREE) * COEFFICIENTS;   // of one slice
constexpr int NOTHING = KNOTS + DEGREE;
constexpr u32 PART_BYTES = 8 * 16, KNOT_BYTES = COEFFICIENTS * 16;

// Two halves, and two that are the same: the lower one of a pair.
__device__ __forceinline__ u32 two_halves(float x, float y) {
    u32 both;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(y), "f"(x));
    return both;
}
__device__ __forceinline__ u32 lower_twice(u32 v) { return __byte_perm(v, 0, 0x1010); }
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
// Four channels of what pairs multiply. With halves as features an instruction has two of them at a time: where products go
// on as factors, and where slopes are summed over channels. What is summed over pairs is f32.
#if HALVES
struct Quad {
    u32 first, second;
};
__device__ __forceinline__ Quad operator*(Quad a, Quad b) {
    return {mul_halves(a.first, b.first), mul_halves(a.second, b.second)};
}
__device__ __forceinline__ Quad fma4(Quad a, Quad b, Quad c) {
    return {fma_halves(a.first, b.first, c.first), fma_halves(a.second, b.second, c.second)};
}
__device__ __forceinline__ float4 wide(Quad v) { return widen_four(make_uint2(v.first, v.second)); }
__device__ __forceinline__ Quad quad(float4 v) { return {two_halves(v.x, v.y), two_halves(v.z, v.w)}; }
__device__ __forceinline__ Quad quad(uint2 v) { return {v.x, v.y}; }
// Four channels of each of two components that lie together.
__device__ __forceinline__ void fetch8(const Stored *p, Quad &first, Quad &second) {
    const uint4 v = *reinterpret_cast<const uint4 *>(p);
    first = {v.x, v.y};
    second = {v.z, v.w};
}
#else
typedef float4 Quad;
__device__ __forceinline__ float4 wide(float4 v) { return v; }
__device__ __forceinline__ float4 quad(float4 v) { return v; }
__device__ __forceinline__ float4 quad(uint2 v) { return widen_four(v); }
__device__ __forceinline__ void fetch8(const Stored *p, float4 &first, float4 &second) { ld8(p, first, second); }
#endif
constexpr u32 HALF = 0x38003800, ONE = 0x3c003c00, MINUS_HALF = 0xb800b800, MINUS_ONE = 0xbc00bc00; // twice each

// What is kept of where a pair lies: its place in the interval, a half, and above it the knot.
typedef u32 Where;
__device__ __forceinline__ Where where_is(float distance) {
    const float s = distance * N.knots_per_length;
    const int k = min(int(s), KNOTS - 1);
    return two_halves(s - float(k), 0.0f) | u32(k) << 16;
}

// A table: with STAGED an address in shared memory.
#if STAGED
typedef u32 Table;
__device__ __forceinline__ Table table_at(const uint4 *table) {
    // Behind the barrier that it was waited for at.
    u32 address = u32(__cvta_generic_to_shared(table));
    asm volatile("" : "+r"(address)::"memory");
    return address;
}
__device__ __forceinline__ uint4 read(Table at) {
    uint4 v;
    asm("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(at));
    return v;
}
__device__ __forceinline__ uint2 read_half(Table at) {
    uint2 v;
    asm("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(at));
    return v;
}
#else
typedef const char *Table;
__device__ __forceinline__ Table table_at(const uint4 *table) { return reinterpret_cast<Table>(table); }
__device__ __forceinline__ uint4 read(Table at) { return *reinterpret_cast<const uint4 *>(at); }
__device__ __forceinline__ uint2 read_half(Table at) { return *reinterpret_cast<const uint2 *>(at); }
#endif

#if HALVES
// The differences on both sides, each times a weight, summed over every other channel.
typedef u32 Along[2];
#else
// The slope over the inverse of an interval, times a weight, summed over channels.
typedef float Along[1];
#endif

struct Spline {
    Table at;
    u32 u, v, b[2];

    __device__ Spline(Table table, Where where, bool inside) {
        at = table + (inside ? where >> 16 : u32(NOTHING)) * KNOT_BYTES;
        u = lower_twice(where);
        v = fma_halves(u, MINUS_ONE, ONE);
        b[0] = mul_halves(mul_halves(v, MINUS_HALF), v);
        b[1] = mul_halves(mul_halves(u, HALF), u);
    }

    static __device__ Table of_lane(Table table) { return table + lane_id() % 8 * 16; }

    // The coefficient and the differences of a filter, for four channels.
    __device__ void coefficients(int filter, uint2 &c, uint2 (&d)[2]) const {
        const auto half_of = [&](uint4 v) { return filter == 0 ? make_uint2(v.x, v.y) : make_uint2(v.z, v.w); };
        if (filter < 2) {
            d[0] = half_of(read(at));
            d[1] = half_of(read(at + KNOT_BYTES));
            c = half_of(read(at + KNOT_BYTES + PART_BYTES));
        } else {
            const uint4 second = read(at + KNOT_BYTES + 2 * PART_BYTES);
            d[0] = read_half(at + 2 * PART_BYTES);
            d[1] = make_uint2(second.x, second.y);
            c = make_uint2(second.z, second.w);
        }
    }

    __device__ Quad value(uint2 c, const uint2 (&d)[2]) const {
#pragma unroll
        for (int m = 0; m < 2; ++m) {
            c.x = fma_halves(b[m], d[m].x, c.x);
            c.y = fma_halves(b[m], d[m].y, c.y);
        }
        return quad(c);
    }

    __device__ Quad value(int filter) const {
        uint2 c, differences[2];
        coefficients(filter, c, differences);
        return value(c, differences);
    }

    // The value, and to `along` the slope times `weight`, summed over channels.
    __device__ Quad value(int filter, Quad weight, Along &along) const {
        uint2 c, d[2];
        coefficients(filter, c, d);
#if HALVES
#pragma unroll
        for (int m = 0; m < 2; ++m) {
            along[m] = fma_halves(weight.first, d[m].x, fma_halves(weight.second, d[m].y, along[m]));
        }
#else
        const auto between = [&](u32 first, u32 second) { return fma_halves(u, second, mul_halves(v, first)); };
        const float4 s = widen_four(make_uint2(between(d[0].x, d[1].x), between(d[0].y, d[1].y)));
        along[0] = fmaf(weight.x, s.x, fmaf(weight.y, s.y, fmaf(weight.z, s.z, fmaf(weight.w, s.w, along[0]))));
#endif
        return value(c, d);
    }

    __device__ float slope(const Along &along) const {
#if HALVES
        const float2 both = widen_halves(fma_halves(u, along[1], mul_halves(v, along[0])));
        return N.knots_per_length * (both.x + both.y);
#else
        return N.knots_per_length * along[0];
#endif
    }
};
#endif
