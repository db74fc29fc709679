// Forces, integration, thermostat noise, limits, and what is observed.
//
// Order of the flags: kernels raise `pending`; `advance` turns it into `halt` when all its blocks are done, and from
// then on nothing moves until the host has looked. So a step is taken by all atoms or by none.

// Sums over atoms by id, of one block: the same tree wherever the atoms lie.
template <int COUNT, class Value>
__device__ __forceinline__ void block_sum(u32 first, u32 end, double (&sum)[COUNT], Value value) {
    __shared__ double part[COUNT][32];
    for (int k = 0; k < COUNT; ++k) sum[k] = 0.0;
    for (u32 id = first + threadIdx.x; id < end; id += blockDim.x) {
        double v[COUNT];
        value(E.slot[id], v);
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

// t and s of a pair: the part number `part` of GRADIENT_PARTS.
__device__ __forceinline__ float4 push_at(u32 p, int part) {
    return E.push[size_t(p) * GRADIENT_PARTS + part];
}

// t and s of a pair, summed over parts.
__device__ __forceinline__ void push_sum(const float4 (&of)[GRADIENT_PARTS], double (&t)[3], double &s) {
    t[0] = t[1] = t[2] = s = 0.0;
#pragma unroll
    for (int k = 0; k < GRADIENT_PARTS; ++k) {
        t[0] += of[k].x;
        t[1] += of[k].y;
        t[2] += of[k].z;
        s += of[k].w;
    }
}
__device__ __forceinline__ void push_of(u32 p, double (&t)[3], double &s) {
    float4 of[GRADIENT_PARTS];
#pragma unroll
    for (int k = 0; k < GRADIENT_PARTS; ++k) of[k] = push_at(p, k);
    push_sum(of, t, s);
}

// Pairs of a row whose pushes are fetched together.
constexpr int AT_ONCE = GRADIENT_PARTS > 4 ? 1 : 2;

// F_i = sum over the row of (s + s') u + (1 - u u) (t' - t) / d, the prime marking the opposite pair: exactly minus
// what the neighbour gets. The rows of both are those of the atom that sends. A warp for each atom i.
__device__ __forceinline__ void force_on(int i) {
    // The step's pairs have long been measured; only what they push may still be on its way.
    u32 start = 0, count = 0, p[AT_ONCE], back[AT_ONCE];
    float4 g[AT_ONCE];
    const auto fetch = [&](u32 at) {
#pragma unroll
        for (int k = 0; k < AT_ONCE; ++k) {
            if (at + k * WARP >= count) continue;
            g[k] = E.geometry[start + at + k * WARP];
            p[k] = E.pair[start + at + k * WARP].y;
            back[k] = E.opposite[start + at + k * WARP];
        }
    };
    if (i < E.atoms) {
        start = E.rows[i];
        count = E.active[i];
        fetch(lane_id());
    }
    follow();
    if (i >= E.atoms || E.state->halt) return;
    double f[3] = {0, 0, 0};
    for (u32 at = lane_id(); at < count; at += AT_ONCE * WARP) {
        if (at >= AT_ONCE * WARP) fetch(at);
        float4 there[AT_ONCE][GRADIENT_PARTS], here[AT_ONCE][GRADIENT_PARTS];
#pragma unroll
        for (int k = 0; k < AT_ONCE; ++k) {
            if (at + k * WARP >= count) continue;
#pragma unroll
            for (int part = 0; part < GRADIENT_PARTS; ++part) {
                here[k][part] = push_at(p[k], part);
                there[k][part] = push_at(back[k], part);
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
    if (lane_id() < 3) E.force[3 * size_t(i) + lane_id()] = lane_id() == 0 ? f[0] : lane_id() == 1 ? f[1] : f[2];
    // Where terms act, forces are not whole yet.
    if (lane_id() == 0 && !E.acted) {
        const u32 member = member_of(i);
        if (!isfinite(norm2)) raise(member, FLAG_NONFINITE);
        else if (norm2 > traits(member).force_limit2) raise(member, FLAG_FORCE);
    }
}

extern "C" __global__ void __launch_bounds__(256) sum_forces() { force_on(warp_of_grid()); }

struct Atom {
    double r[3], v[3], f[3], heat, mass;
    // Whose it is, and its number among those atoms.
    u32 member, index;
};

__device__ __forceinline__ double kinetic_of(const Atom &atom) {
    return 0.5 * atom.mass * (atom.v[0] * atom.v[0] + atom.v[1] * atom.v[1] + atom.v[2] * atom.v[2]);
}

// What is frozen has a negative mass, and rests where it is.
__device__ void apply(Atom &atom, const Op &op, u64 step) {
    if (atom.mass < 0.0) return;
    if (op.kind == OP_KICK) {
        for (int a = 0; a < 3; ++a) atom.v[a] += op.a * atom.f[a] / atom.mass;
    } else if (op.kind == OP_DRIFT) {
        for (int a = 0; a < 3; ++a) atom.r[a] += op.a * atom.v[a];
    } else {
        const Traits &own = traits(atom.member);
        const uint4 bits = block_of(own, step, atom.index, THERMOSTAT_STREAM);
        double xi[4];
        box_muller(bits.x, bits.y, xi[0], xi[1]);
        box_muller(bits.z, bits.w, xi[2], xi[3]);
        double c = op.a, kt = bath_kt(own, step);
        const u32 id = own.first + atom.index;
        if (E.own_baths && E.own_kt[id] >= 0.0) {
            c = pow(c, E.own_friction[id]);
            kt = E.own_kt[id];
        }
        const double width = sqrt((1.0 - c * c) * kt / atom.mass), before = kinetic_of(atom);
        for (int a = 0; a < 3; ++a) atom.v[a] = c * atom.v[a] + width * xi[a];
        atom.heat += kinetic_of(atom) - before;
    }
}

// What `rescale` has found for all atoms together: cell and built positions are strained with the atom.
__device__ __forceinline__ void apply(Atom &atom, double (&built)[3], const Change &change) {
    if (change.strained) {
        const double r[3] = {atom.r[0], atom.r[1], atom.r[2]}, v[3] = {atom.v[0], atom.v[1], atom.v[2]};
        const double b[3] = {built[0], built[1], built[2]};
        for (int a = 0; a < 3; ++a) {
            const double *out = change.stretch[a], *in = change.shrink[a];
            atom.r[a] = out[0] * r[0] + out[1] * r[1] + out[2] * r[2];
            built[a] = out[0] * b[0] + out[1] * b[1] + out[2] * b[2];
            atom.v[a] = in[0] * v[0] + in[1] * v[1] + in[2] * v[2];
        }
    }
    if (E.velocities.scaled) {
        for (int a = 0; a < 3; ++a) atom.v[a] = change.flight[a] + (atom.v[a] - change.flight[a]) * change.factor;
    }
}

// Which operators ahead of the forces `advance` takes: those of the whole step, or ahead of `rescale`, or behind it.
constexpr int NOTHING = 0, WHOLE = 1, OPENING = 2, CLOSING = 3;

// Completes the step begun (operators behind the forces) if `finish`, and takes `part` of the next; each only where it is
// due. A step that is opened is closed, whatever is raised between. A thread for each atom.
__device__ __forceinline__ void advance_atoms(int finish, int part) {
    volatile State &state = *E.state;
    const u32 halt = state.halt, raised = state.pending & (FLAG_NONFINITE | FLAG_LIMITS);
    const u64 begun = state.begun, done = state.done, opened = state.opened;
    const bool post = finish && !halt && begun > done;
    const bool due = (part == WHOLE || part == OPENING) && !halt && !raised && begun == done + post && begun < state.until;
    const bool closing = part == CLOSING && opened == begun + 1;
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const u32 member = i < E.atoms ? member_of(i) : 0;
    const double slack2 = reinterpret_cast<volatile Member &>(E.members[member]).slack2;
    if (i < E.atoms && (post || due || closing) && !(SEVERAL && E.members[member].resting)) {
        const size_t at = 3 * size_t(i);
        Atom atom;
        double built[3];
        for (int a = 0; a < 3; ++a) {
            atom.r[a] = E.pos[at + a];
            atom.v[a] = E.vel[at + a];
            atom.f[a] = E.force[at + a];
            built[a] = E.built[at + a];
        }
        atom.heat = 0.0;
        atom.mass = E.mass[i];
        atom.member = member;
        atom.index = E.id[i] - traits(member).first;
        if (post) {
            for (u32 k = 0; k < E.after; ++k) apply(atom, E.ops[E.before + k], done);
        }
        if (due) {
            const u32 end = part == OPENING ? E.opening : E.before;
            for (u32 k = 0; k < end; ++k) apply(atom, E.ops[k], begun);
        }
        if (closing) {
            apply(atom, built, E.change[member]);
            for (u32 k = E.opening; k < E.before; ++k) apply(atom, E.ops[k], begun);
        }
        double moved2 = 0.0, sum = 0.0;
        for (int a = 0; a < 3; ++a) {
            const double moved = atom.r[a] - built[a];
            moved2 += moved * moved;
            sum += atom.v[a] + atom.r[a];
            E.pos[at + a] = atom.r[a];
            E.vel[at + a] = atom.v[a];
            if (closing) E.built[at + a] = built[a];
        }
        E.heat[i] += atom.heat;
        if (!isfinite(sum)) raise(member, FLAG_NONFINITE);
        else if (moved2 > slack2 && part != OPENING) atomicOr(&E.state->pending, FLAG_SKIN);
        const u32 reach = __float_as_uint(float(moved2));
        if (isfinite(moved2) && reach > state.reach) atomicMax(&E.state->reach, reach);
    }
    when_all_done([&](volatile State &s) {
        if (halt) return;
        s.done = done + post;
        if (part == OPENING && due) {
            s.opened = begun + 1;
            return;
        }
        s.begun = begun + (due || closing);
        s.halt = s.pending;
        s.pending = 0;
    });
}

extern "C" __global__ void __launch_bounds__(128) advance(int finish, int part) {
    follow();
    advance_atoms(finish, part);
}

// Whether it is looked at whose drift is to be removed, and whether that of a member is.
__device__ __forceinline__ bool removal_due() {
    const State &s = *E.state;
    return E.remove_drift > 0 && !s.halt && s.begun == s.done && s.done != s.drift_removed;
}
__device__ __forceinline__ bool removal_due(u32 member) {
    return removal_due() && !E.members[member].resting && (E.state->done + traits(member).ahead) % E.remove_drift == 0;
}

// A block for each member: the velocity of its centre of mass, where the drift is to be removed; what that takes from the
// kinetic energy is heat.
extern "C" __global__ void __launch_bounds__(1024) sum_momentum() {
    follow();
    if (!removal_due(blockIdx.x)) return;
    const Traits &own = traits(blockIdx.x);
    double p[3];
    block_sum<3>(own.first, own.end, p, [](u32 i, double (&v)[3]) {
        for (int a = 0; a < 3; ++a) v[a] = E.mass[i] * E.vel[3 * size_t(i) + a];
    });
    if (threadIdx.x > 0) return;
    Member &state = E.members[blockIdx.x];
    for (int a = 0; a < 3; ++a) state.drift[a] = p[a] / own.total_mass;
    const double *v = state.drift, speed2 = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
    state.heat = state.heat - 0.5 * own.total_mass * speed2;
}

// Subtracts the velocity of the centre of mass.
extern "C" __global__ void __launch_bounds__(128) remove_drift() {
    follow();
    const bool looked = removal_due();
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (looked && i < E.atoms && removal_due(member_of(i))) {
        const double *drift = E.members[member_of(i)].drift;
        for (int a = 0; a < 3; ++a) E.vel[3 * size_t(i) + a] -= drift[a];
    }
    when_all_done([&](volatile State &s) {
        if (looked) s.drift_removed = s.done;
    });
}

// A block for each member: adds what the thermostat put into each atom to the total, in the order of ids.
extern "C" __global__ void __launch_bounds__(1024) sum_heat() {
    follow();
    const Traits &own = traits(blockIdx.x);
    double heat[1];
    block_sum<1>(own.first, own.end, heat, [](u32 i, double (&v)[1]) {
        v[0] = E.heat[i];
        E.heat[i] = 0.0;
    });
    if (threadIdx.x == 0) E.members[blockIdx.x].heat += heat[0];
}

// A block for each member: the kinetic energy against its limit, less that of the centre of mass where it does not count.
extern "C" __global__ void __launch_bounds__(1024) check_kinetic() {
    follow();
    const State &state = *E.state;
    const bool due = !state.halt && state.begun == state.done && state.done != state.checked;
    if (due) {
        const Traits &own = traits(blockIdx.x);
        double k[4];
        block_sum<4>(own.first, own.end, k, [](u32 i, double (&v)[4]) {
            const double *u = E.vel + 3 * size_t(i);
            v[0] = 0.5 * E.mass[i] * (u[0] * u[0] + u[1] * u[1] + u[2] * u[2]);
            for (int a = 0; a < 3; ++a) v[1 + a] = E.mass[i] * u[a];
        });
        const double whole = 0.5 * (k[1] * k[1] + k[2] * k[2] + k[3] * k[3]) / own.held_mass;
        if (threadIdx.x == 0 && !(k[0] - whole <= own.kinetic_limit)) raise(blockIdx.x, FLAG_KINETIC);
    }
    when_all_done([&](volatile State &s) {
        if (due) s.checked = s.done;
    });
}

// OBSERVED numbers: potential, kinetic, energy of terms, momentum (3), strain derivative (9), pairs. OBSERVE_ATOMS are the
// atoms of a block, OBSERVE_GROUPS the threads that share the blocks' sums.

// What an atom adds, by a warp: its lanes share the row, in an order that depends on it alone.
__device__ __forceinline__ void observe_atom(u32 i, double (&v)[OBSERVED]) {
    const int lane = lane_id();
    v[0] = E.energy[i];
    v[1] = 0.0;
    v[2] = 0.0;
    for (int a = 0; a < 3; ++a) {
        const double u = E.vel[3 * size_t(i) + a];
        v[1] += 0.5 * E.mass[i] * u * u;
        v[3 + a] = E.mass[i] * u;
    }
    for (int k = 0; k < 9; ++k) v[6 + k] = 0.0;
    const u32 start = E.rows[i], count = E.active[i];
    for (u32 at = start + lane; at < start + count; at += WARP) {
        const float4 g = E.geometry[at];
        double t[3], s;
        push_of(E.pair[at].y, t, s);
        const double u[3] = {g.x, g.y, g.z};
        const double along = t[0] * u[0] + t[1] * u[1] + t[2] * u[2];
        for (int a = 0; a < 3; ++a) {
            for (int b = 0; b < 3; ++b) v[6 + 3 * a + b] += u[a] * (s * double(g.w) * u[b] - (t[b] - along * u[b]));
        }
    }
    for (int k = 0; k < 9; ++k) v[6 + k] = warp_sum(v[6 + k]);
    v[15] = count;
}

// Sums over the atoms of a member by id: a few in each block, then the blocks in `observe_all`; the same tree wherever
// atoms lie.
extern "C" __global__ void __launch_bounds__(OBSERVE_ATOMS * WARP) observe() {
    follow();
    __shared__ double part[OBSERVE_ATOMS][OBSERVED];
    const Traits &own = traits(SEVERAL ? E.block_member[blockIdx.x] : 0);
    const u32 warp = threadIdx.x / WARP, id = own.first + (blockIdx.x - own.first_block) * OBSERVE_ATOMS + warp;
    double v[OBSERVED] = {};
    if (id < own.end) observe_atom(E.slot[id], v);
    if (lane_id() == 0) {
        for (int k = 0; k < OBSERVED; ++k) part[warp][k] = v[k];
    }
    __syncthreads();
    const u32 k = threadIdx.x;
    if (k >= OBSERVED) return;
    double sum = 0.0;
    for (int w = 0; w < OBSERVE_ATOMS; ++w) sum += part[w][k];
    E.sums[size_t(blockIdx.x) * OBSERVED + k] = sum;
}

typedef double Matrix[3][3];

__device__ double determinant(const Matrix &h) {
    return h[0][0] * (h[1][1] * h[2][2] - h[1][2] * h[2][1]) - h[0][1] * (h[1][0] * h[2][2] - h[1][2] * h[2][0]) +
           h[0][2] * (h[1][0] * h[2][1] - h[1][1] * h[2][0]);
}

// The strain derivative of a member that was last observed, and its symmetric part.
__device__ __forceinline__ const double *last_derivative(u32 member) { return E.observed + size_t(member) * OBSERVED + 6; }
__device__ __forceinline__ double symmetric_derivative(u32 member, int a, int b) {
    const double *derivative = last_derivative(member);
    return 0.5 * (derivative[3 * a + b] + derivative[3 * b + a]);
}

// Energy of the piston of a member, as `dynamics::mtk::PistonMove::energy`.
__device__ double piston_energy(u32 member) {
    const Member &s = E.members[member];
    const Change &change = E.change[member];
    const double volume = fabs(determinant(s.cell));
    return change.piston_pressure * volume + 0.5 * change.piston_mass * s.piston_rate * s.piston_rate;
}

// Kicks the piston for half a step by what was last observed, as `dynamics::mtk::PistonMove::kick`.
__device__ void kick_piston(u32 member) {
    Member &s = E.members[member];
    const Change &change = E.change[member];
    const double *derivative = last_derivative(member), volume = fabs(determinant(s.cell));
    const double force = -(derivative[0] + derivative[4] + derivative[8]) - 3.0 * change.piston_pressure * volume;
    s.piston_rate += 0.5 * E.piston.time * force / change.piston_mass;
}

// The second half of a strain's work, and what it added to the pressure, when the forces behind it are there and observed.
__device__ void settle(u32 member) {
    Member &s = E.members[member];
    Change &change = E.change[member];
    if (E.state->halt || s.resting || !change.owing) return;
    if (E.piston.moves) {
        kick_piston(member);
        s.work -= piston_energy(member) - change.before;
        change.owing = 0;
        return;
    }
    double work = 0.0;
    for (int a = 0; a < 9; ++a) work += last_derivative(member)[a] * change.strain[a / 3][a % 3];
    s.work += 0.5 * work;
    const double volume = fabs(determinant(s.cell));
    for (int a = 0; a < 3; ++a) {
        for (int b = 0; b < 3; ++b) s.response[a][b] = change.rise[a][b] - symmetric_derivative(member, a, b) / volume;
    }
    change.owing = 0;
}

// A block for each member, whose sums are `stride` numbers behind those of the one before.
extern "C" __global__ void __launch_bounds__(OBSERVE_GROUPS * OBSERVED) observe_all(double *out, int stride, int settles) {
    follow();
    __shared__ double part[OBSERVE_GROUPS][OBSERVED];
    const Traits &own = traits(blockIdx.x);
    const int k = threadIdx.x % OBSERVED, group = threadIdx.x / OBSERVED;
    double sum = 0.0;
    for (u32 b = own.first_block + group; b < own.end_block; b += OBSERVE_GROUPS) sum += E.sums[size_t(b) * OBSERVED + k];
    part[group][k] = sum;
    __syncthreads();
    if (group > 0) return;
    for (int g = 1; g < OBSERVE_GROUPS; ++g) sum += part[g][k];
    if (E.acted) {
        const double *external = E.external + size_t(blockIdx.x) * EXTERNAL;
        if (k == 0 || k == 2) sum += external[0];
        if (k >= 6 && k < 15) sum += external[k - 5];
    }
    out[size_t(blockIdx.x) * stride + k] = sum;
    __syncwarp((1u << OBSERVED) - 1);
    if (settles && k == 0) settle(blockIdx.x);
}

// Arrays between the order of slots and that of ids, one behind the other: bits 1 positions, 2 velocities, 4 forces.
__device__ __forceinline__ double *array_of(int k) { return k == 0 ? E.pos : k == 1 ? E.vel : E.force; }

extern "C" __global__ void __launch_bounds__(256) to_ids(int which, double *out) {
    const u32 id = blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= E.atoms) return;
    const size_t slot = E.slot[id];
    for (int k = 0; k < 3; ++k) {
        if (!(which >> k & 1)) continue;
        for (int a = 0; a < 3; ++a) out[3 * size_t(id) + a] = array_of(k)[3 * slot + a];
        out += 3 * size_t(E.atoms);
    }
}

extern "C" __global__ void __launch_bounds__(256) from_ids(int which, const double *in) {
    const u32 id = blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= E.atoms) return;
    const size_t slot = E.slot[id];
    for (int k = 0; k < 3; ++k) {
        if (!(which >> k & 1)) continue;
        for (int a = 0; a < 3; ++a) array_of(k)[3 * slot + a] = in[3 * size_t(id) + a];
        in += 3 * size_t(E.atoms);
    }
}

// The state of several members is copied by the host.
extern "C" __global__ void set_state(State state, Member alone) {
    *E.state = state;
    if (!SEVERAL) E.members[0] = alone;
}
