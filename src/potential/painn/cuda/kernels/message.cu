// Messages between neighbours, forward and backward, and what they say about the forces.
//
// A team of warps (one, or with few atoms more) works on one atom and a slice of 32 channels: groups of eight lanes
// take the pairs of the atom's row in turn, a lane has four channels. Teams are larger forward, where a warp needs fewer
// registers. Sums are gathers in an order that the row alone fixes, so that the result depends on nothing but the
// positions.
//
// The filters are splines of the distance (`spline.cu`, in 16 bits `narrow_spline.cu`). With many atoms (STAGED) the
// coefficients of a slice are kept in shared memory, and each block takes a stretch of neighbouring atoms.

// The same value, which in 16 bits the compiler cannot make anew from what it came from: it would each time that a loop goes
// around, for want of registers.
__device__ __forceinline__ int held(int v) {
    if (NARROW) asm volatile("" : "+r"(v));
    return v;
}
__device__ __forceinline__ float4 held(float4 v) {
    if (NARROW) asm volatile("" : "+f"(v.x), "+f"(v.y), "+f"(v.z), "+f"(v.w));
    return v;
}
template <class T> __device__ __forceinline__ T *held(T *p) {
    if (NARROW) asm volatile("" : "+l"(p));
    __builtin_assume(__isGlobal(p));
    return p;
}

// Whether what sums are added to is fetched behind them, for want of registers: with many atoms.
constexpr bool LATE = TILED || BY_STRIPS;

__device__ __forceinline__ float4 fma4(float4 a, float4 b, float4 c) {
    return make_float4(fmaf(a.x, b.x, c.x), fmaf(a.y, b.y, c.y), fmaf(a.z, b.z, c.z), fmaf(a.w, b.w, c.w));
}
__device__ __forceinline__ float4 fma4(float a, float4 b, float4 c) {
    return make_float4(fmaf(a, b.x, c.x), fmaf(a, b.y, c.y), fmaf(a, b.z, c.z), fmaf(a, b.w, c.w));
}
__device__ __forceinline__ float dot4(float4 a, float4 b) {
    return fmaf(a.x, b.x, fmaf(a.y, b.y, fmaf(a.z, b.z, a.w * b.w)));
}

template <int TEAM> __device__ __forceinline__ void team_barrier() {
    asm volatile("bar.sync %0, %1;" ::"r"(1 + int(threadIdx.x) / WARP / TEAM), "n"(TEAM * WARP) : "memory");
}

// A sum over two groups of lanes, `distance` apart, of which each keeps a half: `upper` the second.
__device__ __forceinline__ float halve(float first, float second, bool upper, int distance) {
    return (upper ? second : first) + __shfl_xor_sync(FULL, upper ? first : second, distance);
}
__device__ __forceinline__ float4 halve(float4 first, float4 second, bool upper, int distance) {
    return make_float4(halve(first.x, second.x, upper, distance), halve(first.y, second.y, upper, distance),
                       halve(first.z, second.z, upper, distance), halve(first.w, second.w, upper, distance));
}

// Adds up what the warps of a team have, in their order: the first of them gets the result.
template <int TEAM, int COUNT> __device__ __forceinline__ void over_warps(float (&v)[COUNT]) {
    if (TEAM == 1) return;
    // The warps of a block: a lane has four sums forward, six backward; without staging the block is one team.
    __shared__ float part[STAGED ? (COUNT == 4 ? FORWARD_WARPS : BACKWARD_WARPS) : TEAM][COUNT][WARP];
    const int warp = threadIdx.x / WARP, first = warp / TEAM * TEAM, lane = lane_id();
    team_barrier<TEAM>(); // the first warp has read what is about to be written over
    if (warp != first) {
#pragma unroll
        for (int k = 0; k < COUNT; ++k) part[warp][k][lane] = v[k];
    }
    team_barrier<TEAM>();
    if (warp != first) return;
#pragma unroll
    for (int k = 0; k < COUNT; ++k) {
#pragma unroll
        for (int w = 1; w < TEAM; ++w) v[k] += part[first + w][k][lane];
    }
}

// Sums over the groups of a team, in a fixed tree. Of four vectors each group of the first warp gets one, in order.
template <int TEAM> __device__ __forceinline__ float4 over_groups(const float4 (&v)[4]) {
    const bool high = lane_id() & 16, late = lane_id() & 8;
    const float4 sum = halve(halve(v[0], v[2], high, 16), halve(v[1], v[3], high, 16), late, 8);
    float all[4] = {sum.x, sum.y, sum.z, sum.w};
    over_warps<TEAM>(all);
    return make_float4(all[0], all[1], all[2], all[3]);
}
// Of six vectors the first two groups get the first three, the others the last three: each the lower or the
// upper two channels.
template <int TEAM> __device__ __forceinline__ void over_groups(const float4 (&v)[6], float2 (&out)[3]) {
    const bool high = lane_id() & 16, late = lane_id() & 8;
    float all[6];
#pragma unroll
    for (int k = 0; k < 3; ++k) {
        const float4 sum = halve(v[k], v[k + 3], high, 16);
        all[2 * k] = halve(sum.x, sum.z, late, 8);
        all[2 * k + 1] = halve(sum.y, sum.w, late, 8);
    }
    over_warps<TEAM>(all);
#pragma unroll
    for (int k = 0; k < 3; ++k) out[k] = make_float2(all[2 * k], all[2 * k + 1]);
}

// The table of a block's slice; where it is staged, on its way to shared memory until it is asked for.
template <bool STAGE> struct Filters {
    const Coefficient *table;

    __device__ Filters(int l, int slice) {
        constexpr int READS = TABLE * sizeof(Coefficient) / 16;
        table = N.layer[l].table + size_t(slice) * TABLE;
        if (!STAGE) return;
        extern __shared__ uint4 shared_table[];
        const uint4 *from = reinterpret_cast<const uint4 *>(table);
        for (int k = threadIdx.x; k < READS; k += blockDim.x) {
            const u32 to = u32(__cvta_generic_to_shared(shared_table + k));
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from + k) : "memory");
        }
        table = reinterpret_cast<const Coefficient *>(shared_table);
    }

    // Waits for it, with all threads of the block.
    __device__ Table here() const {
        if (STAGE) {
            asm volatile("cp.async.wait_all;" ::: "memory");
            __syncthreads();
        }
        return table_at(table);
    }
};

// The slice of this block, its atoms, and which of the team's groups a thread belongs to.
template <int TEAM> struct Share {
    int slice, first, end, step, group;
    __device__ Share() {
        slice = blockIdx.x % SLICES;
        const int chunk = blockIdx.x / SLICES, chunks = gridDim.x / SLICES, warp = threadIdx.x / WARP;
        step = blockDim.x / WARP / TEAM;
        first = int(i64(E.atoms) * chunk / chunks) + warp / TEAM;
        end = int(i64(E.atoms) * (chunk + 1) / chunks);
        group = held(warp % TEAM * 4 + lane_id() / 8);
    }
    // Whether this warp writes the team's results.
    __device__ bool writes() const { return group < 4; }
};

// A pair of a row, fetched one turn ahead of its use; past the end of the row the last one again. In 16 bits the first layer
// keeps for the others, beside the direction, where on the splines the distance lies instead of the distance.
struct Ahead {
    float4 geometry;
    uint2 pair;
    __device__ void fetch(u32 start, u32 at, u32 count, bool first) {
        const u32 p = start + min(at, count - 1);
        geometry = (NARROW && !first ? N.spots : E.geometry)[p];
        pair = E.pair[p];
    }
    __device__ Where where(bool first) const {
#if NARROW
        if (!first) return __float_as_uint(geometry.w);
#endif
        return where_is(geometry.w);
    }
};

// The row of an atom: its pairs within the cutoff, and the group's first of them.
struct Row {
    u32 start, count;
    Ahead ahead;
    template <int TEAM> __device__ void fetch(const Share<TEAM> &share, int i, bool first) {
        count = 0;
        if (i >= share.end) return;
        start = E.rows[i];
        count = E.active[i];
        if (count > 0) ahead.fetch(start, share.group, count, first);
    }
};

// Context and vectors that a neighbour sends, four channels of each.
struct Sent {
    Quad x[3], mu[3];
};
template <bool FIRST> __device__ __forceinline__ void fetch_sent(const Layer &layer, u32 j, int ch, Sent &sent) {
    Quad(&x)[3] = sent.x, (&mu)[3] = sent.mu;
    const Stored *from = FIRST ? first_context(E.species[j], ch) : context(layer, 0).at(j, ch);
#if NARROW
    fetch8(from, x[0], x[1]);
    if (FIRST) return;
    fetch8(from + 2 * F, x[2], mu[0]);
    fetch8(from + 4 * F, mu[1], mu[2]);
#else
    x[0] = ld4(from);
    x[1] = ld4(from + F);
    if (FIRST) return;
    x[2] = ld4(from + 2 * F);
#pragma unroll
    for (int c = 0; c < 3; ++c) mu[c] = ld4(vector(layer, c).at(j, ch));
#endif
}

// The gradients of what leaves the messages of layer l, four channels of each.
struct Outgoing {
    int l, ch;
    const Stored *base;
    __device__ Outgoing(int l, int ch) : l(l), ch(ch), base(held(grad_q(l).at(0, ch))) {}
    __device__ void fetch(size_t i, Quad &gq, Quad (&gmu)[3]) const {
#if NARROW
        const Stored *from = base + i * (4 * F);
        fetch8(from, gq, gmu[0]);
        fetch8(from + 2 * F, gmu[1], gmu[2]);
#else
        gq = ld4(grad_q(l).at(i, ch));
#pragma unroll
        for (int c = 0; c < 3; ++c) gmu[c] = ld4(grad_mu(l, c).at(i, ch));
#endif
    }
};

// What pairs push of a slice: this lane's one of the four numbers of the first pair.
__device__ __forceinline__ float *pushed(int slice) {
    return held(reinterpret_cast<float *>(E.push + slice) + lane_id() % 4);
}

// q1 = q + sum_j w0 x0 ; mu1 = mu + sum_j (w1 x1) u + (w2 x2) mu_j. In the first layer mu = 0, and q and x depend
// on the species alone.
template <bool FIRST, bool STAGE> __device__ __forceinline__ void forward(int l) {
    constexpr int TEAM = FORWARD_TEAM, GROUPS = 4 * TEAM;
    const Share<TEAM> share;
    const Filters<STAGE> filters(l, share.slice);
    Row row;
    if (!FIRST) row.fetch(share, share.first, FIRST);
    follow();
    if (FIRST) row.fetch(share, share.first, FIRST);
    const Layer &layer = N.layer[l];
    const int ch = held(share.slice * SLICE + lane_id() % 8 * 4);
    const Table table = Spline::of_lane(filters.here());
    for (int i = share.first; i < share.end; i += share.step) {
        if (i > share.first) row.fetch(share, i, FIRST);
        const u32 start = row.start, count = row.count;
        Ahead ahead = row.ahead;
        const float4 zero = make_float4(0, 0, 0, 0);
        float4 sum[4] = {zero, zero, zero, zero};
        // Each group of the first warp writes one of the four results, on top of what came in: with few atoms fetched now.
        const int which = share.group;
        const auto fetch = [&] {
            if (which == 0) {
                return FIRST ? ld4(N.embedding + size_t(E.species[i]) * F + ch) : ld4(spot(N.q).at(i, ch));
            }
            return !FIRST && share.writes() ? ld4(vector(layer, which - 1).at(i, ch)) : zero;
        };
        float4 came = zero;
        if (!LATE) came = fetch();
        for (u32 at = share.group; at < count; at += GROUPS) {
            const float4 geometry = ahead.geometry;
            const u32 j = ahead.pair.x;
            Sent sent;
            fetch_sent<FIRST>(layer, j, ch, sent);
            const Where where = ahead.where(FIRST);
#if NARROW
            if (FIRST && share.slice == 0 && lane_id() % 8 == 0) {
                N.spots[start + at] = make_float4(geometry.x, geometry.y, geometry.z, __uint_as_float(where));
            }
#endif
            ahead.fetch(start, at + GROUPS, count, FIRST);
            const Spline spline(table, where, true);
            sum[0] = fma4(wide(spline.value(0)), wide(sent.x[0]), sum[0]);
            const float4 along = wide(spline.value(1) * sent.x[1]);
            sum[1] = fma4(geometry.x, along, sum[1]);
            sum[2] = fma4(geometry.y, along, sum[2]);
            sum[3] = fma4(geometry.z, along, sum[3]);
            if (!FIRST) {
                const float4 carry = wide(spline.value(2) * sent.x[2]);
#pragma unroll
                for (int c = 0; c < 3; ++c) sum[c + 1] = fma4(carry, wide(sent.mu[c]), sum[c + 1]);
            }
        }
        const float4 mine = over_groups<TEAM>(sum);
        if (!share.writes()) continue;
        Stored *to = which == 0 ? spot(N.q1).at(i, ch) : spot(N.mu1, 3, which - 1).at(i, ch);
        st4(to, mine + (LATE ? fetch() : came));
    }
}

// Sums four numbers over eight lanes; lane k of them returns number k % 4. A fixed tree.
__device__ __forceinline__ float gather8(int lane, float a, float b, float c, float d) {
    const bool odd = lane & 1, high = lane & 2;
    const float keep0 = odd ? b : a, give0 = odd ? a : b, keep1 = odd ? d : c, give1 = odd ? c : d;
    const float even_pair = keep0 + __shfl_xor_sync(FULL, give0, 1), odd_pair = keep1 + __shfl_xor_sync(FULL, give1, 1);
    const float keep = high ? odd_pair : even_pair, give = high ? even_pair : odd_pair;
    const float sum = keep + __shfl_xor_sync(FULL, give, 2);
    return sum + __shfl_xor_sync(FULL, sum, 4);
}

// Gradients that the row's own atom j collects from its neighbours i (u is that of the pair i <- j: minus the
// row's), and t and s of each pair of the row: dE/dr = s u + (t - (t.u) u) / d.
template <bool STAGE> __device__ __forceinline__ void backward(int l) {
    constexpr int TEAM = BACKWARD_TEAM, GROUPS = 4 * TEAM;
    const Share<TEAM> share;
    const Filters<STAGE> filters(l, share.slice);
    Row row;
    row.fetch(share, share.first, false);
    follow();
    const Layer &layer = N.layer[l];
    const int lane = held(lane_id()), ch = share.slice * SLICE + lane % 8 * 4;
    const Table table = Spline::of_lane(filters.here());
    float *const pushes = pushed(share.slice);
    const Outgoing outgoing(l, ch);
    for (int j = share.first; j < share.end; j += share.step) {
        if (j > share.first) row.fetch(share, j, false);
        const u32 start = row.start, count = row.count;
        Ahead ahead = row.ahead;
        Sent own;
        fetch_sent<false>(layer, j, ch, own);
        const float4 x1 = held(wide(own.x[1])), x2 = held(wide(own.x[2]));
        const float4 zero = make_float4(0, 0, 0, 0);
        float4 sum[6] = {zero, zero, zero, zero, zero, zero};
        // Two channels of the context's gradient, or of the vectors', on top of what came in.
        const bool vectors = share.group & 2;
        const int two = ch + (share.group & 1) * 2;
        float2 came[3] = {};
        const auto fetch = [&] {
            if (!vectors || !share.writes()) return;
#pragma unroll
            for (int k = 0; k < 3; ++k) came[k] = ld2(grad_mu(l, k).at(j, two));
        };
        if (!LATE) fetch();
        for (u32 base = 0; base < count; base += GROUPS) {
            const bool inside = base + share.group < count;
            const float4 geometry = ahead.geometry;
            const uint2 pair = ahead.pair;
            const size_t i = pair.x;
            Quad gq, gmu[3];
            outgoing.fetch(i, gq, gmu);
            float *push = pushes + size_t(pair.y) * (SLICES * 4);
            const float before = l == LAYERS - 1 ? 0.0f : *push;
            const Where where = ahead.where(false);
            ahead.fetch(start, base + share.group + GROUPS, count, false);
            const Spline spline(table, where, inside);
            Along s = {};
            sum[0] = fma4(wide(spline.value(0, own.x[0] * gq, s)), wide(gq), sum[0]);
            const float4 g[3] = {wide(gmu[0]), wide(gmu[1]), wide(gmu[2])};
            const float4 along = fma4(-geometry.x, g[0], fma4(-geometry.y, g[1], scale4(-geometry.z, g[2])));
            const float4 w1 = wide(spline.value(1, own.x[1] * quad(along), s));
            sum[1] = fma4(w1, along, sum[1]);
            const float4 radial = w1 * x1;
            const Quad inner = fma4(own.mu[0], gmu[0], fma4(own.mu[1], gmu[1], own.mu[2] * gmu[2]));
            const float4 w2 = wide(spline.value(2, own.x[2] * inner, s));
            sum[2] = fma4(w2, wide(inner), sum[2]);
            const float4 carry = w2 * x2;
#pragma unroll
            for (int c = 0; c < 3; ++c) sum[3 + c] = fma4(carry, g[c], sum[3 + c]);
            const float total = gather8(lane, dot4(radial, g[0]), dot4(radial, g[1]), dot4(radial, g[2]), spline.slope(s));
            if (inside && lane % 8 < 4) *push = before + unseed(total);
        }
        float2 mine[3];
        over_groups<TEAM>(sum, mine);
        if (!share.writes()) continue;
        if (LATE) fetch();
#pragma unroll
        for (int k = 0; k < 3; ++k) {
            const Spot to = vectors ? grad_mu(l - 1, k) : context(layer, k);
            st2(to.at(j, two), mine[k] + came[k]);
        }
    }
}

// The first layer's part of the forces: its context depends on the species alone, so the row's own atom is the
// receiver i and nothing but the species of a neighbour is fetched. Signs are those of the opposite pair, to be
// added to what `backward` left.
template <bool STAGE> __device__ __forceinline__ void backward_first() {
    constexpr int TEAM = FORWARD_TEAM, GROUPS = 4 * TEAM;
    const Share<TEAM> share;
    const Filters<STAGE> filters(0, share.slice);
    Row row;
    row.fetch(share, share.first, false);
    follow();
    const int lane = held(lane_id()), ch = share.slice * SLICE + lane % 8 * 4;
    const Table table = Spline::of_lane(filters.here());
    float *const pushes = pushed(share.slice);
    const Outgoing outgoing(0, ch);
    for (int i = share.first; i < share.end; i += share.step) {
        if (i > share.first) row.fetch(share, i, false);
        const u32 start = row.start, count = row.count;
        Ahead ahead = row.ahead;
        Quad gq, gmu[3];
        outgoing.fetch(i, gq, gmu);
        const float4 g[3] = {wide(gmu[0]), wide(gmu[1]), wide(gmu[2])};
        for (u32 base = 0; base < count; base += GROUPS) {
            const u32 at = base + share.group;
            const bool inside = at < count;
            const float4 geometry = ahead.geometry;
            const uint2 pair = ahead.pair;
            Sent sent;
            fetch_sent<true>(N.layer[0], pair.x, ch, sent);
            float *push = pushes + size_t(pair.y) * (SLICES * 4);
            const float before = LAYERS == 1 ? 0.0f : *push;
            const Where where = ahead.where(false);
            ahead.fetch(start, at + GROUPS, count, false);
            const Spline spline(table, where, inside);
            Along s = {};
            spline.value(0, sent.x[0] * gq, s);
            const float4 along = fma4(geometry.x, g[0], fma4(geometry.y, g[1], scale4(geometry.z, g[2])));
            const float4 radial = wide(spline.value(1, sent.x[1] * quad(along), s)) * wide(sent.x[1]);
            const float sum = gather8(lane, -dot4(radial, g[0]), -dot4(radial, g[1]), -dot4(radial, g[2]), spline.slope(s));
            if (inside && lane % 8 < 4) *push = before + unseed(sum);
        }
    }
}

#if STAGED
#define MESSAGE(name, warps, team, body) \
    extern "C" __global__ void __launch_bounds__(warps *WARP, MESSAGE_BLOCKS) name(int l) { body; }
#else
#define MESSAGE(name, warps, team, body) \
    extern "C" __global__ void __launch_bounds__(team *WARP, MESSAGE_BLOCKS) name(int l) { body; }
#endif
MESSAGE(message_first, FORWARD_WARPS, FORWARD_TEAM, (forward<true, STAGED>(0)))
MESSAGE(message, FORWARD_WARPS, FORWARD_TEAM, (forward<false, STAGED>(l)))
MESSAGE(message_back, BACKWARD_WARPS, BACKWARD_TEAM, (backward<STAGED>(l)))
MESSAGE(message_back_first, FORWARD_WARPS, FORWARD_TEAM, (backward_first<STAGED>()))
