// Messages between neighbours, forward and backward, and what they say about the forces.
//
// A team of warps (one, or with few atoms more) works on one atom and a slice of 32 channels: groups of eight lanes
// take the pairs of the atom's row in turn, a lane has four channels. Teams are larger forward, where a warp needs fewer
// registers. Sums are gathers in an order that the row alone fixes, so that the result depends on nothing but the
// positions.
//
// The filters w_k(d), k = 0, 1, 2, cut off and zero beyond, are B-splines of the distance, of DEGREE 3 or 5 on KNOTS
// intervals: at least twice continuously differentiable, their slope the exact derivative. With many atoms (STAGED) the
// coefficients of a slice are kept in shared memory, and each block takes a stretch of neighbouring atoms.

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

// Where on the spline a distance lies: the first of its coefficients, their weights and slopes.
struct Spline {
    const float *at;
    float b[DEGREE + 1], d[DEGREE + 1];

    __device__ Spline(const float *table, float distance, bool inside) {
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

    // The value, and what each coefficient adds to the slope times `weight`, summed over channels: the slope itself is not
    // needed.
    __device__ float4 value(int filter, float4 weight, float (&along)[DEGREE + 1]) const {
        float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll
        for (int m = 0; m <= DEGREE; ++m) {
            const float4 c = ld4(at + m * COEFFICIENTS + filter * SLICE);
            sum.x = fmaf(b[m], c.x, sum.x);
            sum.y = fmaf(b[m], c.y, sum.y);
            sum.z = fmaf(b[m], c.z, sum.z);
            sum.w = fmaf(b[m], c.w, sum.w);
            along[m] = fmaf(weight.x, c.x, fmaf(weight.y, c.y, fmaf(weight.z, c.z, fmaf(weight.w, c.w, along[m]))));
        }
        return sum;
    }

    // What these sums over coefficients make of the slope.
    __device__ float slope(const float (&along)[DEGREE + 1]) const {
        float sum = d[0] * along[0];
#pragma unroll
        for (int m = 1; m <= DEGREE; ++m) sum = fmaf(d[m], along[m], sum);
        return sum;
    }
};

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
    const float *table;

    __device__ Filters(int l, int slice) {
        table = N.layer[l].table + size_t(slice) * TABLE;
        if (!STAGE) return;
        extern __shared__ float4 shared_table[];
        for (int k = threadIdx.x; k < TABLE / 4; k += blockDim.x) {
            const u32 to = u32(__cvta_generic_to_shared(shared_table + k));
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(table + 4 * k) : "memory");
        }
        table = reinterpret_cast<const float *>(shared_table);
    }

    // Waits for it, with all threads of the block.
    __device__ const float *here() const {
        if (STAGE) {
            asm volatile("cp.async.wait_all;" ::: "memory");
            __syncthreads();
        }
        return table;
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
        group = warp % TEAM * 4 + lane_id() / 8;
    }
    // Whether this warp writes the team's results.
    __device__ bool writes() const { return group < 4; }
};

// A pair of a row, fetched one turn ahead of its use; past the end of the row the last one again.
struct Ahead {
    float4 geometry;
    uint2 pair;
    __device__ void fetch(u32 start, u32 at, u32 count) {
        const u32 p = start + min(at, count - 1);
        geometry = E.geometry[p];
        pair = E.pair[p];
    }
};

// The row of an atom: its pairs within the cutoff, and the group's first of them.
struct Row {
    u32 start, count;
    Ahead ahead;
    template <int TEAM> __device__ void fetch(const Share<TEAM> &share, int i) {
        count = 0;
        if (i >= share.end) return;
        start = E.rows[i];
        count = E.active[i];
        if (count > 0) ahead.fetch(start, share.group, count);
    }
};

// q1 = q + sum_j w0 x0 ; mu1 = mu + sum_j (w1 x1) u + (w2 x2) mu_j. In the first layer mu = 0, and q and x depend
// on the species alone.
template <bool FIRST, bool STAGE> __device__ __forceinline__ void forward(int l) {
    constexpr int TEAM = FORWARD_TEAM, GROUPS = 4 * TEAM;
    const Share<TEAM> share;
    const Filters<STAGE> filters(l, share.slice);
    Row row;
    if (!FIRST) row.fetch(share, share.first);
    follow();
    if (FIRST) row.fetch(share, share.first);
    const Layer &layer = N.layer[l];
    const int offset = lane_id() % 8 * 4, ch = share.slice * SLICE + offset;
    const float *table = filters.here();
    for (int i = share.first; i < share.end; i += share.step) {
        if (i > share.first) row.fetch(share, i);
        const u32 start = row.start, count = row.count;
        Ahead ahead = row.ahead;
        const float4 zero = make_float4(0, 0, 0, 0);
        float4 sum[4] = {zero, zero, zero, zero};
        // Each group of the first warp writes one of the four results, on top of what came in: with few atoms fetched now.
        const int which = share.group;
        const auto fetch = [&] {
            if (which == 0) return ld4(FIRST ? N.embedding + size_t(E.species[i]) * F + ch : N.q + size_t(i) * F + ch);
            return !FIRST && share.writes() ? ld4(layer.mu + (size_t(i) * 3 + which - 1) * F + ch) : zero;
        };
        float4 came = zero;
        if (!LATE) came = fetch();
        for (u32 at = share.group; at < count; at += GROUPS) {
            const float4 geometry = ahead.geometry;
            const u32 j = ahead.pair.x;
            const float *x = FIRST ? N.first_context + size_t(E.species[j]) * 3 * F + ch : layer.x + size_t(j) * 3 * F + ch;
            const float4 x0 = ld4(x), x1 = ld4(x + F);
            float4 x2, other[3];
            if (!FIRST) {
                x2 = ld4(x + 2 * F);
#pragma unroll
                for (int c = 0; c < 3; ++c) other[c] = ld4(layer.mu + (size_t(j) * 3 + c) * F + ch);
            }
            ahead.fetch(start, at + GROUPS, count);
            const Spline spline(table + offset, geometry.w, true);
            sum[0] = fma4(spline.value(0), x0, sum[0]);
            const float4 along = spline.value(1) * x1;
            sum[1] = fma4(geometry.x, along, sum[1]);
            sum[2] = fma4(geometry.y, along, sum[2]);
            sum[3] = fma4(geometry.z, along, sum[3]);
            if (!FIRST) {
                const float4 carry = spline.value(2) * x2;
#pragma unroll
                for (int c = 0; c < 3; ++c) sum[c + 1] = fma4(carry, other[c], sum[c + 1]);
            }
        }
        const float4 mine = over_groups<TEAM>(sum);
        if (!share.writes()) continue;
        float *to = which == 0 ? N.q1 + size_t(i) * F + ch : N.mu1 + (size_t(i) * 3 + which - 1) * F + ch;
        *reinterpret_cast<float4 *>(to) = mine + (LATE ? fetch() : came);
    }
}

// Sums four numbers over eight lanes; lane k of them returns number k % 4. A fixed tree.
__device__ __forceinline__ float gather8(float a, float b, float c, float d) {
    const int lane = lane_id();
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
    row.fetch(share, share.first);
    follow();
    const Layer &layer = N.layer[l];
    const float *grad_mu = N.grad_mu[(LAYERS - 1 - l) & 1];
    float *grad_mu_out = N.grad_mu[(LAYERS - l) & 1];
    const int lane = lane_id(), offset = lane % 8 * 4, ch = share.slice * SLICE + offset;
    const float *table = filters.here();
    for (int j = share.first; j < share.end; j += share.step) {
        if (j > share.first) row.fetch(share, j);
        const u32 start = row.start, count = row.count;
        Ahead ahead = row.ahead;
        const float *own = layer.x + size_t(j) * 3 * F + ch;
        const float4 x0 = ld4(own), x1 = ld4(own + F), x2 = ld4(own + 2 * F);
        const float4 zero = make_float4(0, 0, 0, 0);
        float4 mu[3], sum[6] = {zero, zero, zero, zero, zero, zero};
#pragma unroll
        for (int c = 0; c < 3; ++c) mu[c] = ld4(layer.mu + (size_t(j) * 3 + c) * F + ch);
        // Two channels of the context's gradient, or of the vectors', on top of what came in.
        const bool vectors = share.group & 2;
        const size_t at = size_t(j) * 3 * F + ch + (share.group & 1) * 2;
        float2 came[3] = {};
        const auto fetch = [&] {
            if (!vectors || !share.writes()) return;
#pragma unroll
            for (int k = 0; k < 3; ++k) came[k] = ld2(grad_mu + at + k * F);
        };
        if (!LATE) fetch();
        for (u32 base = 0; base < count; base += GROUPS) {
            const bool inside = base + share.group < count;
            const float4 geometry = ahead.geometry;
            const uint2 pair = ahead.pair;
            const size_t i = pair.x;
            const float4 gq = ld4(N.grad_q + i * F + ch);
            float4 gmu[3];
#pragma unroll
            for (int c = 0; c < 3; ++c) gmu[c] = ld4(grad_mu + (i * 3 + c) * F + ch);
            float *push = reinterpret_cast<float *>(E.push + size_t(pair.y) * SLICES + share.slice) + lane % 4;
            const float before = l == LAYERS - 1 ? 0.0f : *push;
            ahead.fetch(start, base + share.group + GROUPS, count);
            const Spline spline(table + offset, geometry.w, inside);
            float s[DEGREE + 1] = {};
            sum[0] = fma4(spline.value(0, x0 * gq, s), gq, sum[0]);
            const float4 along = fma4(-geometry.x, gmu[0], fma4(-geometry.y, gmu[1], scale4(-geometry.z, gmu[2])));
            const float4 w1 = spline.value(1, x1 * along, s);
            sum[1] = fma4(w1, along, sum[1]);
            const float4 radial = w1 * x1;
            const float4 inner = fma4(mu[0], gmu[0], fma4(mu[1], gmu[1], mu[2] * gmu[2]));
            const float4 w2 = spline.value(2, x2 * inner, s);
            sum[2] = fma4(w2, inner, sum[2]);
            const float4 carry = w2 * x2;
#pragma unroll
            for (int c = 0; c < 3; ++c) sum[3 + c] = fma4(carry, gmu[c], sum[3 + c]);
            const float total = gather8(dot4(radial, gmu[0]), dot4(radial, gmu[1]), dot4(radial, gmu[2]), spline.slope(s));
            if (inside && lane % 8 < 4) *push = before + total;
        }
        float2 mine[3];
        over_groups<TEAM>(sum, mine);
        if (!share.writes()) continue;
        if (LATE) fetch();
        float *to = vectors ? grad_mu_out : layer.x;
#pragma unroll
        for (int k = 0; k < 3; ++k) st2(to + at + k * F, mine[k] + came[k]);
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
    row.fetch(share, share.first);
    follow();
    const float *grad_mu = N.grad_mu[(LAYERS - 1) & 1];
    const int lane = lane_id(), offset = lane % 8 * 4, ch = share.slice * SLICE + offset;
    const float *table = filters.here();
    for (int i = share.first; i < share.end; i += share.step) {
        if (i > share.first) row.fetch(share, i);
        const u32 start = row.start, count = row.count;
        Ahead ahead = row.ahead;
        const float4 gq = ld4(N.grad_q + size_t(i) * F + ch);
        float4 gmu[3];
#pragma unroll
        for (int c = 0; c < 3; ++c) gmu[c] = ld4(grad_mu + (size_t(i) * 3 + c) * F + ch);
        for (u32 base = 0; base < count; base += GROUPS) {
            const u32 at = base + share.group;
            const bool inside = at < count;
            const float4 geometry = ahead.geometry;
            const uint2 pair = ahead.pair;
            const float *x = N.first_context + size_t(E.species[pair.x]) * 3 * F + ch;
            const float4 x0 = ld4(x), x1 = ld4(x + F);
            float *push = reinterpret_cast<float *>(E.push + size_t(pair.y) * SLICES + share.slice) + lane % 4;
            const float before = LAYERS == 1 ? 0.0f : *push;
            ahead.fetch(start, at + GROUPS, count);
            const Spline spline(table + offset, geometry.w, inside);
            float s[DEGREE + 1] = {};
            spline.value(0, x0 * gq, s);
            const float4 along = fma4(geometry.x, gmu[0], fma4(geometry.y, gmu[1], scale4(geometry.z, gmu[2])));
            const float4 radial = spline.value(1, x1 * along, s) * x1;
            const float sum = gather8(-dot4(radial, gmu[0]), -dot4(radial, gmu[1]), -dot4(radial, gmu[2]), spline.slope(s));
            if (inside && lane % 8 < 4) *push = before + sum;
        }
    }
}

#if STAGED
#define MESSAGE(name, warps, team, body)                                                                               \
    extern "C" __global__ void __launch_bounds__(warps * WARP, MESSAGE_BLOCKS) name(int l) { body; }
#else
#define MESSAGE(name, warps, team, body)                                                                               \
    extern "C" __global__ void __launch_bounds__(team * WARP, MESSAGE_BLOCKS) name(int l) { body; }
#endif
MESSAGE(message_first, FORWARD_WARPS, FORWARD_TEAM, (forward<true, STAGED>(0)))
MESSAGE(message, FORWARD_WARPS, FORWARD_TEAM, (forward<false, STAGED>(l)))
MESSAGE(message_back, BACKWARD_WARPS, BACKWARD_TEAM, (backward<STAGED>(l)))
MESSAGE(message_back_first, FORWARD_WARPS, FORWARD_TEAM, (backward_first<STAGED>()))
