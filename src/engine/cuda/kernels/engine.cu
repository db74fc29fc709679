// What every part that knows the engine begins with, behind the text of its structures (`block.rs`): the block of constants
// that holds its state, atoms and pairs, and functions of them. Potentials read it, and write `push` and `energy` alone.

__constant__ Engine E;

// Lattice indices of an image, IMAGE_BITS each, so that the order of the packed numbers is lexicographic.
constexpr i64 IMAGE_BIAS = i64(1) << (IMAGE_BITS - 1);
__device__ __forceinline__ i64 pack_image(int a, int b, int c) {
    return ((i64(a) + IMAGE_BIAS) << (2 * IMAGE_BITS)) | ((i64(b) + IMAGE_BIAS) << IMAGE_BITS) | (i64(c) + IMAGE_BIAS);
}
__device__ __forceinline__ void unpack_image(i64 packed, int (&n)[3]) {
    const i64 mask = (i64(1) << IMAGE_BITS) - 1;
    n[0] = int((packed >> (2 * IMAGE_BITS)) & mask) - int(IMAGE_BIAS);
    n[1] = int((packed >> IMAGE_BITS) & mask) - int(IMAGE_BIAS);
    n[2] = int(packed & mask) - int(IMAGE_BIAS);
}

// Whose atom it is, by id or by slot; what of a system does not change in a block of steps. Of one system alone both are
// known before anything is read.
#if SEVERAL
__device__ __forceinline__ u32 member_of(u32 atom) { return E.member[atom]; }
__device__ __forceinline__ const Traits &traits(u32 member) { return E.traits[member]; }
#else
__device__ __forceinline__ u32 member_of(u32) { return 0; }
__device__ __forceinline__ const Traits &traits(u32) { return E.alone; }
#endif

// The value of a ramp in a step, as `dynamics::Ramp::at`; `constant` where there is none.
__device__ __forceinline__ double ramped(const Ramp &ramp, u64 step, double constant) {
    if (ramp.points == 0) return constant;
    const double x = double(step) + 0.5;
    u32 behind = 0;
    while (behind < ramp.points && x >= ramp.steps[behind]) ++behind;
    if (behind == 0) return ramp.values[0];
    const double from = ramp.steps[behind - 1], low = ramp.values[behind - 1];
    if (behind == ramp.points) return low;
    return low + (ramp.values[behind] - low) * ((x - from) / (ramp.steps[behind] - from));
}

// The temperature of a system's bath in a step of the engine's count.
__device__ __forceinline__ double bath_kt(const Traits &own, u64 step) {
    return ramped(E.ramps.temperature, step + own.ahead, own.kt);
}

// Raises flags of a member; those of limits where they are not ignored. What rests raises none.
__device__ __forceinline__ void raise(u32 member, u32 flags) {
    Member &own = E.members[member];
    if (own.resting || (own.muted && (flags & FLAG_LIMITS))) return;
    atomicOr(&own.raised, flags);
    atomicOr(&E.state->pending, flags);
}

// The lattice vectors of a member at this moment, as rows.
struct Lattice {
    double of[3][3];
    bool periodic;
};
__device__ __forceinline__ Lattice lattice(u32 member) {
    Lattice h;
    const u32(&periodic)[3] = traits(member).periodic;
    h.periodic = periodic[0] | periodic[1] | periodic[2];
    for (int k = 0; k < 3; ++k) {
        for (int a = 0; a < 3; ++a) h.of[k][a] = E.members[member].cell[k][a];
    }
    return h;
}

// The translation of an image. Odd in n to the last bit, so that both directions of a pair agree.
__device__ __forceinline__ void translation(const Lattice &h, const int (&n)[3], double (&t)[3]) {
    for (int a = 0; a < 3; ++a) {
        t[a] = fma(double(n[0]), h.of[0][a], fma(double(n[1]), h.of[1][a], double(n[2]) * h.of[2][a]));
    }
}

// r_j - r_i + shift of the image: exactly minus that of the opposite pair.
__device__ __forceinline__ void separation(const Lattice &h, int i, int j, i64 image, double (&r)[3]) {
    double shift[3] = {0, 0, 0};
    if (h.periodic) {
        int n[3];
        unpack_image(image, n);
        translation(h, n, shift);
    }
    for (int a = 0; a < 3; ++a) r[a] = (E.pos[3 * size_t(j) + a] - E.pos[3 * size_t(i) + a]) + shift[a];
}

// Runs `last` in one thread, after all blocks of the kernel have come here.
template <class Act> __device__ __forceinline__ void when_all_done(Act last) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        if (atomicAdd(&E.state->ticket, 1u) == gridDim.x - 1) {
            E.state->ticket = 0;
            __threadfence();
            last(*reinterpret_cast<volatile State *>(E.state));
        }
    }
}
