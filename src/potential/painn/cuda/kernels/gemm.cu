// Matrix products of atom-wise layers on tensor cores, accurate to f32.
//
// An operand x is split into the TF32 number next to it and the rest, x = hi + lo, and a product takes three TF32
// products, hi hi + hi lo + lo hi; what is left out is below 2^-21 of it. Were hi cut off instead, lo would have the sign
// of x and two bits more than tensor cores read, and what they leave out of it would add up. With TERMS 1 it is one product
// of what is next to each in TF32, in 16 bits (NARROW) of halves or of bfloat16.
//
// A product is an `Op`: out[atom][comp][group][channel] = sum_k load(atom, comp, k) weight[group N + channel][k]
// with NC components (rows) and NG groups (columns) that belong to one atom and channel, so that one thread
// holds all of them when it calls `store(atom, channel pair, out)`.
//
// Two forms: `tiled` for many atoms (tiles through shared memory), `spread` for few (each block a strip of 16
// atoms by 8 channels, its warps split K, weights are fetched before the previous kernel has finished).

__device__ __forceinline__ void split(float x, u32 &hi, u32 &lo) {
    hi = (__float_as_uint(x) + 0x1000u) & 0xffffe000u;
    lo = __float_as_uint(x - __uint_as_float(hi));
}

__device__ __forceinline__ void mma(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#if NARROW
#if BFLOAT
#define OPERANDS "bf16.bf16"
#else
#define OPERANDS "f16.f16"
#endif
// Four numbers of an operand.
typedef uint2 Four;
__device__ __forceinline__ Four four(float4 v) { return narrow(v); }
__device__ __forceinline__ void mma(float (&c)[4], const Four &upper, const Four &lower, const Four &b) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32." OPERANDS ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(upper.x), "r"(lower.x), "r"(upper.y), "r"(lower.y), "r"(b.x), "r"(b.y));
}
#else
typedef float4 Four;
__device__ __forceinline__ Four four(float4 v) { return v; }
#endif
// The nearest number in TF32.
__device__ __forceinline__ u32 nearest(float x) {
    u32 v;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(v) : "f"(x));
    return v;
}

// Sixteen k of a strip of 16 rows (lane holds rows g and g + 8, k = 4 t ... 4 t + 3) against columns of 8. The
// order of k inside is permuted alike in both operands, so that each lane loads 16 bytes. Where there are few tiles, the
// terms of the split go to SETS (3 or 6) sums of their own, so that one product need not wait for the one before.
#if NARROW
template <int SETS, int MT, int NT>
__device__ __forceinline__ void mma16(float (&acc)[SETS][MT][NT][4], const Four (&upper)[MT], const Four (&lower)[MT],
                                      const Four (&b)[NT]) {
#pragma unroll
    for (int n = 0; n < NT; ++n) {
#pragma unroll
        for (int m = 0; m < MT; ++m) mma(acc[0][m][n], upper[m], lower[m], b[n]);
    }
}
#elif TERMS == 1
template <int SETS, int MT, int NT>
__device__ __forceinline__ void mma16(float (&acc)[SETS][MT][NT][4], const Four (&upper)[MT], const Four (&lower)[MT],
                                      const Four (&b)[NT]) {
#pragma unroll
    for (int s = 0; s < 2; ++s) {
        u32 a[MT][4];
#pragma unroll
        for (int m = 0; m < MT; ++m) {
            a[m][0] = nearest(at(upper[m], 2 * s));
            a[m][1] = nearest(at(lower[m], 2 * s));
            a[m][2] = nearest(at(upper[m], 2 * s + 1));
            a[m][3] = nearest(at(lower[m], 2 * s + 1));
        }
#pragma unroll
        for (int n = 0; n < NT; ++n) {
            const u32 w[2] = {nearest(at(b[n], 2 * s)), nearest(at(b[n], 2 * s + 1))};
#pragma unroll
            for (int m = 0; m < MT; ++m) mma(acc[0][m][n], a[m], w);
        }
    }
}
#else
template <int SETS, int MT, int NT>
__device__ __forceinline__ void mma16(float (&acc)[SETS][MT][NT][4], const Four (&upper)[MT], const Four (&lower)[MT],
                                      const Four (&b)[NT]) {
#pragma unroll
    for (int s = 0; s < 2; ++s) {
        u32 hi[MT][4], lo[MT][4];
#pragma unroll
        for (int m = 0; m < MT; ++m) {
            split(at(upper[m], 2 * s), hi[m][0], lo[m][0]);
            split(at(lower[m], 2 * s), hi[m][1], lo[m][1]);
            split(at(upper[m], 2 * s + 1), hi[m][2], lo[m][2]);
            split(at(lower[m], 2 * s + 1), hi[m][3], lo[m][3]);
        }
#pragma unroll
        for (int n = 0; n < NT; ++n) {
            u32 bh[2], bl[2];
            split(at(b[n], 2 * s), bh[0], bl[0]);
            split(at(b[n], 2 * s + 1), bh[1], bl[1]);
            const int set = SETS == 6 ? 3 * s : 0, next = SETS == 1 ? 0 : 1;
#pragma unroll
            for (int m = 0; m < MT; ++m) mma(acc[set][m][n], lo[m], bh);
#pragma unroll
            for (int m = 0; m < MT; ++m) mma(acc[set + next][m][n], hi[m], bl);
#pragma unroll
            for (int m = 0; m < MT; ++m) mma(acc[set + 2 * next][m][n], hi[m], bh);
        }
    }
}
#endif

// Sums for so many tiles.
__device__ constexpr int sets_for(int tiles) { return TERMS == 1 ? 1 : tiles == 1 ? 6 : tiles <= 3 ? 3 : 1; }

// The small terms first, then the large ones.
template <int SETS, int MT, int NT>
__device__ __forceinline__ float total(const float (&acc)[SETS][MT][NT][4], int m, int n, int d) {
    if (SETS == 1) return acc[0][m][n][d];
    if (SETS == 3) return (acc[0][m][n][d] + acc[1 % SETS][m][n][d]) + acc[2 % SETS][m][n][d];
    return ((acc[0][m][n][d] + acc[1 % SETS][m][n][d]) + (acc[3 % SETS][m][n][d] + acc[4 % SETS][m][n][d])) +
           (acc[2 % SETS][m][n][d] + acc[5 % SETS][m][n][d]);
}

// Tile shapes.
template <class Op> struct Tile {
    static constexpr int CHANNELS =
        Op::NG == 1 && Op::WIDE && F % WIDE_TILE_CHANNELS == 0 ? WIDE_TILE_CHANNELS : TILE_CHANNELS;
    static constexpr int ATOMS = (Op::NC == 1 ? TILE_ATOMS : TILE_ATOMS_OF_VECTORS) / TILE_SHRINK;
};

template <class Op> __device__ __forceinline__ void tiled(const Op op) {
    constexpr int NC = Op::NC, NG = Op::NG, BC = Tile<Op>::CHANNELS, BA = Tile<Op>::ATOMS;
    constexpr int WM = BA >= 64 ? 4 : 2, WN = 8 / WM;              // warps along atoms, along channels
    constexpr int MA = BA / WM / 16, MT = MA * NC;                 // tiles of 16 rows in a warp
    constexpr int NB = BC / WN / 8, NT = NB * NG;                  // tiles of 8 columns in a warp
    constexpr int QA = BA * NC * 4, QB = BC * NG * 4;              // quads of four k in a stage of 16
    constexpr int RA = (QA + GEMM_THREADS - 1) / GEMM_THREADS, RB = (QB + GEMM_THREADS - 1) / GEMM_THREADS;
    __shared__ Four a_stage[2][QA], b_stage[2][QB];
    const int tid = threadIdx.x, lane = lane_id(), warp = tid / WARP, g = lane / 4, t = lane % 4;
    const int wm = warp % WM, wn = warp / WM;
    const int c0 = blockIdx.x * BC, a0 = blockIdx.y * BA;
    const int K = op.inputs(), N = op.outputs(), atoms = int(E.atoms);
    float acc[1][MT][NT][4] = {};
    Four ra[RA], rb[RB];
    auto fetch_a = [&](int k0) {
#pragma unroll
        for (int r = 0; r < RA; ++r) {
            const int quad = tid + r * GEMM_THREADS, row = quad / 4, atom = a0 + row % BA;
            const bool inside = (QA % GEMM_THREADS == 0 || quad < QA) && atom < atoms;
            ra[r] = four(inside ? op.load(atom, row / BA, k0 + quad % 4 * 4) : make_float4(0, 0, 0, 0));
        }
    };
    auto fetch_b = [&](int k0) {
#pragma unroll
        for (int r = 0; r < RB; ++r) {
            const int quad = tid + r * GEMM_THREADS, row = quad / 4;
            if (QB % GEMM_THREADS == 0 || quad < QB) {
                rb[r] = four(ld4(op.weight() + size_t((row / BC) * N + c0 + row % BC) * K + k0 + quad % 4 * 4));
            }
        }
    };
    auto keep = [&](int stage) {
#pragma unroll
        for (int r = 0; r < RA; ++r) {
            const int quad = tid + r * GEMM_THREADS;
            if (QA % GEMM_THREADS == 0 || quad < QA) a_stage[stage][quad] = ra[r];
        }
#pragma unroll
        for (int r = 0; r < RB; ++r) {
            const int quad = tid + r * GEMM_THREADS;
            if (QB % GEMM_THREADS == 0 || quad < QB) b_stage[stage][quad] = rb[r];
        }
    };
    fetch_b(0);
    follow();
    if (E.state->halt) return;
    fetch_a(0);
    keep(0);
    __syncthreads();
    for (int k0 = 0, stage = 0; k0 < K; k0 += 16, stage ^= 1) {
        const bool more = k0 + 16 < K;
        if (more) {
            fetch_a(k0 + 16);
            fetch_b(k0 + 16);
        }
        Four upper[MT], lower[MT], b[NT];
#pragma unroll
        for (int m = 0; m < MT; ++m) {
            const int row = (m / MA) * BA + (wm * MA + m % MA) * 16 + g;
            upper[m] = a_stage[stage][row * 4 + t];
            lower[m] = a_stage[stage][(row + 8) * 4 + t];
        }
#pragma unroll
        for (int n = 0; n < NT; ++n) b[n] = b_stage[stage][((n / NB) * BC + (wn * NB + n % NB) * 8 + g) * 4 + t];
        mma16<1, MT, NT>(acc, upper, lower, b);
        if (more) keep(stage ^ 1);
        __syncthreads();
    }
#pragma unroll
    for (int m = 0; m < MA; ++m) {
#pragma unroll
        for (int n = 0; n < NB; ++n) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int atom = a0 + (wm * MA + m) * 16 + g + 8 * half;
                if (atom >= atoms) continue;
                float2 out[NC][NG];
#pragma unroll
                for (int c = 0; c < NC; ++c) {
#pragma unroll
                    for (int r = 0; r < NG; ++r) {
                        const float(&d)[4] = acc[0][c * MA + m][r * NB + n];
                        out[c][r] = make_float2(d[2 * half], d[2 * half + 1]);
                    }
                }
                op.store(atom, c0 + (wn * NB + n) * 8 + 2 * t, out);
            }
        }
    }
}

template <class Op> __device__ __forceinline__ void spread(const Op op) {
    constexpr int NC = Op::NC, NG = Op::NG, WARPS = GEMM_THREADS / WARP;
    constexpr int BLOCKS = (Op::K_MAX / 16 + WARPS - 1) / WARPS;   // of 16 k, at most so many in one warp
    static_assert(STRIP == 16 && SPREAD_CHANNELS == 8, "a tile of tensor cores");
    __shared__ float part[WARPS][NC * NG][STRIP][SPREAD_CHANNELS];
    const int lane = lane_id(), warp = threadIdx.x / WARP, g = lane / 4, t = lane % 4;
    const int c0 = blockIdx.x * SPREAD_CHANNELS, a0 = blockIdx.y * STRIP;
    const int K = op.inputs(), N = op.outputs(), atoms = int(E.atoms);
    Four b[BLOCKS][NG];
#pragma unroll
    for (int i = 0; i < BLOCKS; ++i) {
        const int k = (i * WARPS + warp) * 16 + 4 * t;
#pragma unroll
        for (int r = 0; r < NG; ++r) {
            b[i][r] = four(k < K ? ld4(op.weight() + size_t(r * N + c0 + g) * K + k) : make_float4(0, 0, 0, 0));
        }
    }
    follow();
    constexpr int SETS = sets_for(NC * NG);
    float acc[SETS][NC][NG][4] = {};
#pragma unroll
    for (int i = 0; i < BLOCKS; ++i) {
        const int k = (i * WARPS + warp) * 16 + 4 * t;
        if (k >= K) break;
        Four upper[NC], lower[NC];
#pragma unroll
        for (int c = 0; c < NC; ++c) {
            upper[c] = four(a0 + g < atoms ? op.load(a0 + g, c, k) : make_float4(0, 0, 0, 0));
            lower[c] = four(a0 + g + 8 < atoms ? op.load(a0 + g + 8, c, k) : make_float4(0, 0, 0, 0));
        }
        mma16<SETS, NC, NG>(acc, upper, lower, b[i]);
    }
#pragma unroll
    for (int c = 0; c < NC; ++c) {
#pragma unroll
        for (int r = 0; r < NG; ++r) {
            st2(&part[warp][c * NG + r][g][2 * t], make_float2(total(acc, c, r, 0), total(acc, c, r, 1)));
            st2(&part[warp][c * NG + r][g + 8][2 * t], make_float2(total(acc, c, r, 2), total(acc, c, r, 3)));
        }
    }
    __syncthreads();
    const int row = threadIdx.x / 4, pair = threadIdx.x % 4 * 2;
    if (row >= 16 || a0 + row >= atoms) return;
    float2 out[NC][NG];
#pragma unroll
    for (int c = 0; c < NC; ++c) {
#pragma unroll
        for (int r = 0; r < NG; ++r) {
            float2 sum = make_float2(0, 0);
#pragma unroll
            for (int w = 0; w < WARPS; ++w) {
                const float2 add = ld2(&part[w][c * NG + r][row][pair]);
                sum.x += add.x;
                sum.y += add.y;
            }
            out[c][r] = sum;
        }
    }
    op.store(a0 + row, c0 + pair, out);
}
