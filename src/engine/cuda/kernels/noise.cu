// Noise: numbers that are a function of seed, replica, step, atom and stream alone, as in `core::rng`.

// Philox 4x32-10 (Salmon et al., SC 2011), as in `core::rng`.
__device__ __forceinline__ uint4 philox(uint4 c, uint2 k) {
    for (int round = 0; round < 10; ++round) {
        const u32 high0 = __umulhi(0xD2511F53u, c.x), low0 = 0xD2511F53u * c.x;
        const u32 high1 = __umulhi(0xCD9E8D57u, c.z), low1 = 0xCD9E8D57u * c.z;
        c = make_uint4(high1 ^ c.y ^ k.x, low1, high0 ^ c.w ^ k.y, low0);
        k = make_uint2(k.x + 0x9E3779B9u, k.y + 0xBB67AE85u);
    }
    return c;
}

// The bits of one atom of a member, or of block number `index` of the whole member, at one step.
__device__ __forceinline__ uint4 block_of(const Traits &own, u64 step, u32 index, u32 stream) {
    const u64 at = step + own.noise_start;
    return philox(make_uint4(u32(at), u32(at >> 32), index, stream), make_uint2(own.seed, own.replica));
}

// A number between 0 and 1, in the middle of its bin.
__device__ __forceinline__ double centred(u32 word) { return (double(word) + 0.5) * (1.0 / 4294967296.0); }

__device__ __forceinline__ void box_muller(u32 u, u32 v, double &a, double &b) {
    const double tau = 6.283185307179586476925286766559;
    const double radius = sqrt(-2.0 * log(centred(u)));
    double sine, cosine;
    sincos(tau * centred(v), &sine, &cosine);
    a = radius * cosine;
    b = radius * sine;
}
