// Forces, integration, thermostat noise, limits, and what is observed.
//
// Order of the flags: kernels raise `pending`; `advance` turns it into `halt` when all its blocks are done, and from
// then on nothing moves until the host has looked. So a step is taken by all atoms or by none.

__device__ __forceinline__ double warp_sum(double x) {
    for (int d = 16; d > 0; d /= 2) x += __shfl_xor_sync(FULL, x, d);
    return x;
}

// t and s of a pair and slice.
__device__ __forceinline__ float4 push_at(u32 p, int slice) {
    return reinterpret_cast<const float4 *>(P.push)[size_t(p) * SLICES + slice];
}

// t and s of a pair, summed over slices.
__device__ __forceinline__ void push_sum(const float4 (&of)[SLICES], double (&t)[3], double &s) {
    t[0] = t[1] = t[2] = s = 0.0;
#pragma unroll
    for (int k = 0; k < SLICES; ++k) {
        t[0] += of[k].x;
        t[1] += of[k].y;
        t[2] += of[k].z;
        s += of[k].w;
    }
}
__device__ __forceinline__ void push_of(u32 p, double (&t)[3], double &s) {
    float4 of[SLICES];
#pragma unroll
    for (int k = 0; k < SLICES; ++k) of[k] = push_at(p, k);
    push_sum(of, t, s);
}

// Pairs of a row whose pushes are fetched together.
constexpr int AT_ONCE = SLICES > 4 ? 1 : 2;

// F_i = sum over the row of (s + s') u + (1 - u u) (t' - t) / d, the prime marking the opposite pair: exactly minus
// what the neighbour gets. The rows of both are those of the atom that sends.
extern "C" __global__ void __launch_bounds__(256) sum_forces() {
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    // The step's pairs have long been measured; only what they push may still be on its way.
    u32 start = 0, count = 0, p[AT_ONCE], back[AT_ONCE];
    float4 g[AT_ONCE];
    const auto fetch = [&](u32 at) {
#pragma unroll
        for (int k = 0; k < AT_ONCE; ++k) {
            if (at + k * WARP >= count) continue;
            g[k] = P.geometry[start + at + k * WARP];
            p[k] = P.pair[start + at + k * WARP].y;
            back[k] = P.opposite[start + at + k * WARP];
        }
    };
    if (i < P.atoms) {
        start = P.rows[i];
        count = P.active[i];
        fetch(lane_id());
    }
    follow();
    if (i >= P.atoms || P.state->halt) return;
    double f[3] = {0, 0, 0};
    for (u32 at = lane_id(); at < count; at += AT_ONCE * WARP) {
        if (at >= AT_ONCE * WARP) fetch(at);
        float4 there[AT_ONCE][SLICES], here[AT_ONCE][SLICES];
#pragma unroll
        for (int k = 0; k < AT_ONCE; ++k) {
            if (at + k * WARP >= count) continue;
#pragma unroll
            for (int slice = 0; slice < SLICES; ++slice) {
                here[k][slice] = push_at(p[k], slice);
                there[k][slice] = push_at(back[k], slice);
            }
        }
#pragma unroll
        for (int k = 0; k < AT_ONCE; ++k) {
            if (at + k * WARP >= count) continue;
            double t[3], s, t_back[3], s_back;
            push_sum(here[k], t, s);
            push_sum(there[k], t_back, s_back);
            const double u[3] = {g[k].x, g[k].y, g[k].z}, inverse = 1.0 / g[k].w;
            double along = 0.0;
            for (int a = 0; a < 3; ++a) {
                t[a] = t_back[a] - t[a];
                along += t[a] * u[a];
            }
            for (int a = 0; a < 3; ++a) f[a] += (s + s_back) * u[a] + (t[a] - along * u[a]) * inverse;
        }
    }
    double norm2 = 0.0;
    for (int a = 0; a < 3; ++a) {
        f[a] = warp_sum(f[a]);
        norm2 += f[a] * f[a];
    }
    if (lane_id() < 3) P.force[3 * size_t(i) + lane_id()] = lane_id() == 0 ? f[0] : lane_id() == 1 ? f[1] : f[2];
    if (lane_id() == 0) {
        if (!isfinite(norm2)) atomicOr(&P.state->pending, FLAG_NONFINITE);
        else if (norm2 > P.force_limit2) atomicOr(&P.state->pending, FLAG_FORCE);
    }
}

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

__device__ __forceinline__ void box_muller(u32 u, u32 v, double &a, double &b) {
    const double scale = 1.0 / 4294967296.0, tau = 6.283185307179586476925286766559;
    const double radius = sqrt(-2.0 * log((double(u) + 0.5) * scale));
    double sine, cosine;
    sincos(tau * (double(v) + 0.5) * scale, &sine, &cosine);
    a = radius * cosine;
    b = radius * sine;
}

struct Atom {
    double r[3], v[3], f[3], heat, mass;
    u32 id;
};

__device__ __forceinline__ double kinetic_of(const Atom &atom) {
    return 0.5 * atom.mass * (atom.v[0] * atom.v[0] + atom.v[1] * atom.v[1] + atom.v[2] * atom.v[2]);
}

__device__ void apply(Atom &atom, const Op &op, u64 step) {
    if (op.kind == OP_KICK) {
        for (int a = 0; a < 3; ++a) atom.v[a] += op.a * atom.f[a] / atom.mass;
    } else if (op.kind == OP_DRIFT) {
        for (int a = 0; a < 3; ++a) atom.r[a] += op.a * atom.v[a];
    } else {
        const u32 thermostat = 1;
        const u64 at = step + P.noise_start;
        const uint4 bits = philox(make_uint4(u32(at), u32(at >> 32), atom.id, thermostat), make_uint2(P.seed, P.replica));
        double xi[4];
        box_muller(bits.x, bits.y, xi[0], xi[1]);
        box_muller(bits.z, bits.w, xi[2], xi[3]);
        const double width = sqrt((1.0 - op.a * op.a) * op.b / atom.mass), before = kinetic_of(atom);
        for (int a = 0; a < 3; ++a) atom.v[a] = op.a * atom.v[a] + width * xi[a];
        atom.heat += kinetic_of(atom) - before;
    }
}

constexpr u32 FLAG_LIMITS = FLAG_FORCE | FLAG_CONTACT | FLAG_KINETIC;

// Completes the step begun (operators behind the forces) if `finish`, and begins the next (those ahead of them) if
// `begin`; each only where it is due.
extern "C" __global__ void __launch_bounds__(128) advance(int finish, int begin) {
    follow();
    volatile State &state = *P.state;
    const u32 halt = state.halt, raised = state.pending & (FLAG_NONFINITE | (state.muted ? 0 : FLAG_LIMITS));
    const u64 begun = state.begun, done = state.done;
    const bool post = finish && !halt && begun > done;
    const bool pre = begin && !halt && !raised && begun == done + post && begun < state.until;
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < P.atoms && (post || pre)) {
        const size_t at = 3 * size_t(i);
        Atom atom;
        for (int a = 0; a < 3; ++a) {
            atom.r[a] = P.pos[at + a];
            atom.v[a] = P.vel[at + a];
            atom.f[a] = P.force[at + a];
        }
        atom.heat = 0.0;
        atom.mass = P.mass[i];
        atom.id = P.id[i];
        if (post) {
            for (u32 k = 0; k < P.after; ++k) apply(atom, P.ops[P.before + k], done);
        }
        if (pre) {
            for (u32 k = 0; k < P.before; ++k) apply(atom, P.ops[k], begun);
        }
        double moved2 = 0.0, sum = 0.0;
        for (int a = 0; a < 3; ++a) {
            const double moved = atom.r[a] - P.built[at + a];
            moved2 += moved * moved;
            sum += atom.v[a] + atom.r[a];
            P.pos[at + a] = atom.r[a];
            P.vel[at + a] = atom.v[a];
        }
        P.heat[i] += atom.heat;
        u32 flags = 0;
        if (!isfinite(sum)) flags = FLAG_NONFINITE;
        else if (moved2 > P.slack2) flags = FLAG_SKIN;
        if (flags) atomicOr(&P.state->pending, flags);
        const u32 reach = __float_as_uint(float(moved2));
        if (isfinite(moved2) && reach > state.reach) atomicMax(&P.state->reach, reach);
    }
    when_all_done([&](volatile State &s) {
        if (halt) return;
        s.begun = begun + pre;
        s.done = done + post;
        const u32 keep = s.pending & ~(s.muted ? FLAG_LIMITS : 0);
        s.halt = keep;
        s.pending = 0;
    });
}

// Sums over atoms by id, of one block: the same tree wherever the atoms lie.
template <int COUNT, class Value>
__device__ __forceinline__ void block_sum(u32 first, u32 end, double (&sum)[COUNT], Value value) {
    __shared__ double part[COUNT][32];
    for (int k = 0; k < COUNT; ++k) sum[k] = 0.0;
    for (u32 id = first + threadIdx.x; id < end; id += blockDim.x) {
        double v[COUNT];
        value(P.slot[id], v);
        for (int k = 0; k < COUNT; ++k) sum[k] += v[k];
    }
    for (int k = 0; k < COUNT; ++k) {
        const double total = warp_sum(sum[k]);
        if (lane_id() == 0) part[k][threadIdx.x / WARP] = total;
    }
    __syncthreads();
    for (int k = 0; k < COUNT; ++k) {
        sum[k] = part[k][0];
        for (int w = 1; w < blockDim.x / WARP; ++w) sum[k] += part[k][w];
    }
}

__device__ __forceinline__ bool removal_due() {
    const State &s = *P.state;
    return P.remove_drift > 0 && !s.halt && s.begun == s.done && s.done != s.drift_removed && s.done % P.remove_drift == 0;
}

// One block: total momentum, where the drift is to be removed.
extern "C" __global__ void __launch_bounds__(1024) sum_momentum() {
    follow();
    if (!removal_due()) return;
    double p[3];
    block_sum<3>(0, P.atoms, p, [](u32 i, double (&v)[3]) {
        for (int a = 0; a < 3; ++a) v[a] = P.mass[i] * P.vel[3 * size_t(i) + a];
    });
    if (threadIdx.x < 3) P.sums[threadIdx.x] = p[threadIdx.x] / P.total_mass;
}

// Subtracts the velocity of the centre of mass; what it takes from the kinetic energy is heat.
extern "C" __global__ void __launch_bounds__(128) remove_drift() {
    follow();
    const bool due = removal_due();
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (due && i < P.atoms) {
        for (int a = 0; a < 3; ++a) P.vel[3 * size_t(i) + a] -= P.sums[a];
    }
    when_all_done([&](volatile State &s) {
        if (!due) return;
        const double speed2 = P.sums[0] * P.sums[0] + P.sums[1] * P.sums[1] + P.sums[2] * P.sums[2];
        s.heat = s.heat - 0.5 * P.total_mass * speed2;
        s.drift_removed = s.done;
    });
}

// One block: adds what the thermostat put into each atom to the total, in the order of ids.
extern "C" __global__ void __launch_bounds__(1024) sum_heat() {
    follow();
    double heat[1];
    block_sum<1>(0, P.atoms, heat, [](u32 i, double (&v)[1]) {
        v[0] = P.heat[i];
        P.heat[i] = 0.0;
    });
    if (threadIdx.x == 0) P.state->heat += heat[0];
}

// One block: the kinetic energy against its limit, less that of the centre of mass where it does not count.
extern "C" __global__ void __launch_bounds__(1024) check_kinetic() {
    follow();
    const State &state = *P.state;
    if (state.halt || state.begun != state.done || state.done == state.checked) return;
    double k[4];
    block_sum<4>(0, P.atoms, k, [](u32 i, double (&v)[4]) {
        const double *u = P.vel + 3 * size_t(i);
        v[0] = 0.5 * P.mass[i] * (u[0] * u[0] + u[1] * u[1] + u[2] * u[2]);
        for (int a = 0; a < 3; ++a) v[1 + a] = P.mass[i] * u[a];
    });
    if (threadIdx.x > 0) return;
    P.state->checked = P.state->done;
    const double whole = 0.5 * (k[1] * k[1] + k[2] * k[2] + k[3] * k[3]) / P.held_mass;
    if (!(k[0] - whole <= P.kinetic_limit)) P.state->pending |= FLAG_KINETIC;
}

// Potential, kinetic, nothing, momentum (3), strain derivative (9), pairs.
constexpr int OBSERVED = 16;
constexpr int OBSERVE_ATOMS = 8, OBSERVE_GROUPS = 64; // atoms of a block; threads that share the blocks' sums

// What an atom adds, by a warp: its lanes share the readout and the row, in an order that depends on both alone.
__device__ __forceinline__ void observe_atom(u32 i, double (&v)[OBSERVED]) {
    const int lane = lane_id();
    double energy = 0.0;
#if HEADS > 0
    const Head &head = P.head[HEADS - 1];
    for (int k = lane; k < head.outputs; k += WARP) {
        const float h = head.h[size_t(i) * head.outputs + k];
        energy += double(P.head_out[k]) * double(h) / (1.0 + exp(-double(h)));
    }
#else
    for (int k = lane; k < F; k += WARP) energy += double(P.head_out[k]) * P.q[size_t(i) * F + k];
#endif
    v[0] = warp_sum(energy);
    v[1] = 0.0;
    v[2] = 0.0;
    for (int a = 0; a < 3; ++a) {
        const double u = P.vel[3 * size_t(i) + a];
        v[1] += 0.5 * P.mass[i] * u * u;
        v[3 + a] = P.mass[i] * u;
    }
    for (int k = 0; k < 9; ++k) v[6 + k] = 0.0;
    const u32 start = P.rows[i], count = P.active[i];
    for (u32 at = start + lane; at < start + count; at += WARP) {
        const float4 g = P.geometry[at];
        double t[3], s;
        push_of(P.pair[at].y, t, s);
        const double u[3] = {g.x, g.y, g.z};
        const double along = t[0] * u[0] + t[1] * u[1] + t[2] * u[2];
        for (int a = 0; a < 3; ++a) {
            for (int b = 0; b < 3; ++b) v[6 + 3 * a + b] += u[a] * (s * double(g.w) * u[b] - (t[b] - along * u[b]));
        }
    }
    for (int k = 0; k < 9; ++k) v[6 + k] = warp_sum(v[6 + k]);
    v[15] = count;
}

// Sums over atoms by id: a few in each block, then the blocks in `observe_all`; the same tree wherever atoms lie.
extern "C" __global__ void __launch_bounds__(OBSERVE_ATOMS * WARP) observe() {
    __shared__ double part[OBSERVE_ATOMS][OBSERVED];
    const u32 warp = threadIdx.x / WARP, id = blockIdx.x * OBSERVE_ATOMS + warp;
    double v[OBSERVED] = {};
    if (id < P.atoms) observe_atom(P.slot[id], v);
    if (lane_id() == 0) {
        for (int k = 0; k < OBSERVED; ++k) part[warp][k] = v[k];
    }
    __syncthreads();
    const u32 k = threadIdx.x;
    if (k >= OBSERVED) return;
    double sum = 0.0;
    for (int w = 0; w < OBSERVE_ATOMS; ++w) sum += part[w][k];
    P.sums[size_t(blockIdx.x + 1) * OBSERVED + k] = sum;
}

// One block.
extern "C" __global__ void __launch_bounds__(OBSERVE_GROUPS * OBSERVED) observe_all(int blocks, double *out) {
    __shared__ double part[OBSERVE_GROUPS][OBSERVED];
    const int k = threadIdx.x % OBSERVED, group = threadIdx.x / OBSERVED;
    double sum = 0.0;
    for (int b = group; b < blocks; b += OBSERVE_GROUPS) sum += P.sums[size_t(b + 1) * OBSERVED + k];
    part[group][k] = sum;
    __syncthreads();
    if (group > 0) return;
    for (int g = 1; g < OBSERVE_GROUPS; ++g) sum += part[g][k];
    out[k] = sum;
}

// Arrays between the order of slots and that of ids, one behind the other: bits 1 positions, 2 velocities, 4 forces.
__device__ __forceinline__ double *array_of(int k) { return k == 0 ? P.pos : k == 1 ? P.vel : P.force; }

extern "C" __global__ void __launch_bounds__(256) to_ids(int which, double *out) {
    const u32 id = blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= P.atoms) return;
    const size_t slot = P.slot[id];
    for (int k = 0; k < 3; ++k) {
        if (!(which >> k & 1)) continue;
        for (int a = 0; a < 3; ++a) out[3 * size_t(id) + a] = array_of(k)[3 * slot + a];
        out += 3 * size_t(P.atoms);
    }
}

extern "C" __global__ void __launch_bounds__(256) from_ids(int which, const double *in) {
    const u32 id = blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= P.atoms) return;
    const size_t slot = P.slot[id];
    for (int k = 0; k < 3; ++k) {
        if (!(which >> k & 1)) continue;
        for (int a = 0; a < 3; ++a) array_of(k)[3 * slot + a] = in[3 * size_t(id) + a];
        in += 3 * size_t(P.atoms);
    }
}

extern "C" __global__ void set_state(State state) { *P.state = state; }
