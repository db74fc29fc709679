// What acts on some atoms beside the potential, as `forcefield::external`: springs, walls and constant forces.

// Sums over entries of the terms' list of atoms, of one block, for all of its threads: the same tree wherever atoms lie.
template <int COUNT, class Value>
__device__ __forceinline__ void term_sum(u32 first, u32 end, double (&sum)[COUNT], Value value) {
    __shared__ double part[COUNT][32];
    for (int k = 0; k < COUNT; ++k) sum[k] = 0.0;
    for (u32 at = first + threadIdx.x; at < end; at += blockDim.x) {
        double v[COUNT];
        value(at, v);
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
    // What is shared is written again by the next sum.
    __syncthreads();
}

// The slot of an entry. Masses of frozen atoms are negative.
__device__ __forceinline__ size_t slot_of(u32 at) { return E.slot[E.term_atoms[at]]; }
__device__ __forceinline__ double mass_of(size_t slot) { return fabs(E.mass[slot]); }

// Centre of mass of entries, and their mass.
__device__ __forceinline__ double centre_of(u32 first, u32 end, double (&centre)[3]) {
    double sum[4];
    term_sum<4>(first, end, sum, [](u32 at, double (&v)[4]) {
        const size_t i = slot_of(at);
        v[3] = mass_of(i);
        for (int a = 0; a < 3; ++a) v[a] = v[3] * E.pos[3 * i + a];
    });
    for (int a = 0; a < 3; ++a) centre[a] = sum[a] / sum[3];
    return sum[3];
}

// Adds a force on the centre of mass of entries of a mass.
__device__ __forceinline__ void push_centre(u32 first, u32 end, const double (&force)[3], double mass) {
    for (u32 at = first + threadIdx.x; at < end; at += blockDim.x) {
        const size_t i = slot_of(at);
        for (int a = 0; a < 3; ++a) E.force[3 * i + a] += force[a] * (mass_of(i) / mass);
    }
}

// What terms leave of one system.
struct TermSums {
    double energy, work, strain[9];
};

// A spring of each atom to a place, or the same force on each.
__device__ void act_on_each(const Term &term, double steps, TermSums &sums) {
    double both[2];
    term_sum<2>(term.first, term.end, both, [&](u32 at, double (&v)[2]) {
        const size_t i = slot_of(at);
        v[0] = v[1] = 0.0;
        for (int a = 0; a < 3; ++a) {
            const double r = E.pos[3 * i + a];
            double force = term.place[a];
            if (term.law == LAW_FORCE) {
                v[0] -= force * r;
            } else {
                const double away = r - (E.term_places[3 * size_t(at) + a] + term.each[a] * steps);
                force = -term.constant * away;
                v[0] += 0.5 * term.constant * away * away;
                v[1] += force * term.each[a];
            }
            E.force[3 * i + a] += force;
        }
    });
    sums.energy += both[0];
    sums.work += both[1];
}

// A spring of a centre of mass to a place.
__device__ void act_on_centre(const Term &term, double steps, TermSums &sums) {
    double centre[3], force[3];
    const double mass = centre_of(term.first, term.end, centre);
    for (int a = 0; a < 3; ++a) {
        const double away = centre[a] - (term.place[a] + term.each[a] * steps);
        force[a] = -term.constant * away;
        sums.energy += 0.5 * term.constant * away * away;
        sums.work += force[a] * term.each[a];
    }
    push_centre(term.first, term.end, force, mass);
}

// A spring between two centres of mass.
__device__ void act_between(const Term &term, double steps, TermSums &sums) {
    double own[3], others[3], apart[3], force[3], back[3], distance = 0.0;
    const double mass = centre_of(term.first, term.end, own);
    const double other_mass = centre_of(term.end, term.others_end, others);
    for (int a = 0; a < 3; ++a) {
        apart[a] = others[a] + term.place[a] - own[a];
        distance += apart[a] * apart[a];
    }
    distance = sqrt(distance);
    const double stretched = distance - (term.length + term.longer * steps);
    for (int a = 0; a < 3; ++a) {
        // Centres that meet push each other nowhere.
        force[a] = distance > 0.0 ? apart[a] / distance * (term.constant * stretched) : 0.0;
        back[a] = -force[a];
    }
    push_centre(term.first, term.end, force, mass);
    push_centre(term.end, term.others_end, back, other_mass);
    for (int a = 0; a < 3; ++a) {
        for (int b = 0; b < 3; ++b) sums.strain[3 * a + b] += apart[a] * force[b];
    }
    sums.energy += 0.5 * term.constant * stretched * stretched;
    sums.work -= term.constant * stretched * term.longer;
}

// A wall.
__device__ void act_as_wall(const Term &term, TermSums &sums) {
    const bool plane = term.law == LAW_SOFT_PLANE || term.law == LAW_HARD_PLANE;
    const bool soft = term.law == LAW_SOFT_PLANE || term.law == LAW_SOFT_SPHERE;
    double energy[1];
    term_sum<1>(term.first, term.end, energy, [&](u32 at, double (&v)[1]) {
        const size_t i = slot_of(at);
        double inward[3], z = 0.0, push;
        if (plane) {
            for (int a = 0; a < 3; ++a) {
                inward[a] = term.place[a];
                z += inward[a] * E.pos[3 * i + a];
            }
            z -= term.length;
        } else {
            double far = 0.0;
            for (int a = 0; a < 3; ++a) {
                inward[a] = E.pos[3 * i + a] - term.place[a];
                far += inward[a] * inward[a];
            }
            far = sqrt(far);
            for (int a = 0; a < 3; ++a) inward[a] = far > 0.0 ? -inward[a] / far : 0.0;
            z = term.length - far;
        }
        if (soft) {
            const double behind = fmin(z, 0.0);
            v[0] = 0.5 * term.constant * behind * behind;
            push = -term.constant * behind;
        } else if (z > 0.0) {
            const double ratio = term.sigma / z, cube = ratio * ratio * ratio, ninth = 2.0 / 15.0 * cube * cube * cube;
            v[0] = term.constant * (ninth - cube);
            push = term.constant * (9.0 * ninth - 3.0 * cube) / z;
        } else {
            // No number, so that the run ends, and tells the atom.
            v[0] = push = __longlong_as_double(0x7ff0000000000000LL);
        }
        for (int a = 0; a < 3; ++a) E.force[3 * i + a] += inward[a] * push;
    });
    sums.energy += energy[0];
}

// A block for each member: adds forces of its terms, one after another, and sums what they have of energy. Then looks at
// the forces, which are whole now.
extern "C" __global__ void __launch_bounds__(1024) act_terms() {
    follow();
    if (E.state->halt) return;
    const Traits &own = traits(blockIdx.x);
    Member &member = E.members[blockIdx.x];
    const u64 step = member.resting ? member.rested_at : E.state->begun + own.ahead;
    TermSums sums = {};
    for (u32 k = own.first_term; k < own.end_term; ++k) {
        const Term &term = E.terms[k];
        const double steps = step >= term.origin ? double(step - term.origin) : -double(term.origin - step);
        if (term.law == LAW_PLACES || term.law == LAW_FORCE) act_on_each(term, steps, sums);
        else if (term.law == LAW_CENTRE) act_on_centre(term, steps, sums);
        else if (term.law == LAW_DISTANCE) act_between(term, steps, sums);
        else act_as_wall(term, sums);
        // The next one adds to forces that other threads have written.
        __syncthreads();
    }
    for (u32 id = own.first + threadIdx.x; id < own.end; id += blockDim.x) {
        const double *f = E.force + 3 * size_t(E.slot[id]);
        const double norm2 = f[0] * f[0] + f[1] * f[1] + f[2] * f[2];
        if (!isfinite(norm2)) raise(blockIdx.x, FLAG_NONFINITE);
        else if (norm2 > own.force_limit2) raise(blockIdx.x, FLAG_FORCE);
    }
    if (threadIdx.x > 0) return;
    double *external = E.external + size_t(blockIdx.x) * EXTERNAL;
    external[0] = sums.energy;
    for (int k = 0; k < 9; ++k) external[1 + k] = sums.strain[k];
    // Half of what is done at either end of a step; the same state is looked at more than once.
    if (member.pull_known && member.pull_step + 1 == step) member.pulled += 0.5 * (member.pull_rate + sums.work);
    member.pull_rate = sums.work;
    member.pull_step = step;
    member.pull_known = 1;
}
