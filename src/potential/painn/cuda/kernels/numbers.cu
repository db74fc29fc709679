// What features and their gradients are kept in: f32, or 16 bits (NARROW: halves, or with BFLOAT bfloat16), which are
// widened as they are read. Sums are f32 always.

// Whether features are halves: filters are in all 16 bits, so that what both are multiplied to can be halves as well.
#define HALVES (NARROW && !BFLOAT)

#if NARROW
struct alignas(2) Stored {
    unsigned short bits;
};

// Two numbers in 16 bits each, the first in the lower half.
__device__ __forceinline__ u32 narrow(float x, float y) {
    u32 both;
#if BFLOAT
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(y), "f"(x));
#else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(y), "f"(x));
#endif
    return both;
}
__device__ __forceinline__ float2 widen_halves(u32 both) {
    float2 v;
    asm("{\n.reg .b16 a, b;\nmov.b32 {a, b}, %2;\ncvt.f32.f16 %0, a;\ncvt.f32.f16 %1, b;\n}"
        : "=f"(v.x), "=f"(v.y)
        : "r"(both));
    return v;
}
__device__ __forceinline__ float2 widen(u32 both) {
#if BFLOAT
    return make_float2(__uint_as_float(both << 16), __uint_as_float(both & 0xffff0000u));
#else
    return widen_halves(both);
#endif
}
__device__ __forceinline__ float4 widen(u32 first, u32 second) {
    const float2 a = widen(first), b = widen(second);
    return make_float4(a.x, a.y, b.x, b.y);
}
__device__ __forceinline__ uint2 narrow(float4 v) { return make_uint2(narrow(v.x, v.y), narrow(v.z, v.w)); }

__device__ __forceinline__ float4 ld4(const Stored *p) {
    const uint2 v = *reinterpret_cast<const uint2 *>(p);
    return widen(v.x, v.y);
}
__device__ __forceinline__ float2 ld2(const Stored *p) { return widen(*reinterpret_cast<const u32 *>(p)); }
__device__ __forceinline__ float ld1(const Stored *p) { return widen(u32(p->bits)).x; }
__device__ __forceinline__ void st4(Stored *p, float4 v) { *reinterpret_cast<uint2 *>(p) = narrow(v); }
__device__ __forceinline__ void st2(Stored *p, float2 v) { *reinterpret_cast<u32 *>(p) = narrow(v.x, v.y); }
// Four channels of each of two components that lie together.
__device__ __forceinline__ void ld8(const Stored *p, float4 &first, float4 &second) {
    const uint4 v = *reinterpret_cast<const uint4 *>(p);
    first = widen(v.x, v.y);
    second = widen(v.z, v.w);
}
// Coefficients of splines: eight halves.
typedef uint4 Coefficient;
#else
typedef float Stored;
typedef float Coefficient;
#endif
__device__ __forceinline__ float ld1(const float *p) { return *p; }
__device__ __forceinline__ void st4(float *p, float4 v) { *reinterpret_cast<float4 *>(p) = v; }
