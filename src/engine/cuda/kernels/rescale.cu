// What takes all atoms together in the middle of a step's drift: strains of the cell (`dynamics::cell_rescaling`), the
// scaling of velocities (`dynamics::csvr`, `dynamics::nose_hoover`), or both by a piston (`dynamics::mtk`). One thread finds
// all of it from sums over atoms; `advance` does it to each atom.

__device__ __forceinline__ void multiply(const Matrix &a, const Matrix &b, Matrix &c) {
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) c[i][j] = a[i][0] * b[0][j] + a[i][1] * b[1][j] + a[i][2] * b[2][j];
    }
}
__device__ __forceinline__ double product(const Matrix &a, const Matrix &b) {
    double sum = 0.0;
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) sum += a[i][j] * b[i][j];
    }
    return sum;
}

// The exponential of sign times a symmetric matrix of a norm of at most a few MOST_STRAIN: its series.
__device__ void exponential(const Matrix &of, double sign, Matrix &sum) {
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) sum[i][j] = i == j;
    }
#pragma unroll
    for (int k = 14; k > 0; --k) {
        const double part = sign * (1.0 / k);
        Matrix next;
        multiply(of, sum, next);
        for (int i = 0; i < 3; ++i) {
            for (int j = 0; j < 3; ++j) sum[i][j] = (i == j) + part * next[i][j];
        }
    }
}

// A standard normal number and the sum of the squares of `degrees` - 1 more, as `core::rng::Noise::chi`.
__device__ void chi(const Traits &own, u64 step, double &r, double &squares) {
    const uint4 first = block_of(own, step, 0, THERMOSTAT_STREAM);
    double one, x, unused;
    box_muller(first.x, first.y, r, one);
    const u32 count = own.degrees - 1;
    squares = count % 2 ? one * one : 0.0;
    if (count < 2) return;
    const double d = double(count / 2) - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    double gamma = d;
    for (u32 k = 1; k <= MOST_ATTEMPTS; ++k) {
        const uint4 bits = block_of(own, step, k, THERMOSTAT_STREAM);
        box_muller(bits.x, bits.y, x, unused);
        const double root = 1.0 + c * x, v = root * root * root;
        if (v > 0.0 && log(centred(bits.z)) < 0.5 * x * x + d - d * v + d * log(v)) {
            gamma = d * v;
            break;
        }
    }
    squares += 2.0 * gamma;
}

// The factor of velocities of a kinetic energy, as `dynamics::csvr::Rescaling::factor`.
__device__ double velocity_factor(const Traits &own, double kinetic, u64 step) {
    if (kinetic <= 0.0 || own.degrees == 0) return 1.0;
    double r, s;
    chi(own, step, r, s);
    const double c = E.velocities.c, q = 0.5 * bath_kt(own, step) / kinetic;
    const double square = c + q * (1.0 - c) * (r * r + s) + 2.0 * r * sqrt(c * (1.0 - c) * q);
    const double factor = sqrt(fmax(square, 0.0));
    return r * sqrt((1.0 - c) * q) + sqrt(c) < 0.0 ? -factor : factor;
}

// A chain of thermostats: its positions and velocities, and what it is on.
struct ChainOf {
    double *x, *w;
    double freedom, kt, relaxation;
    __device__ __forceinline__ double mass(u32 link) const {
        return (link == 0 ? freedom : 1.0) * kt * relaxation * relaxation;
    }
};

// Energy of a chain, as `dynamics::nose_hoover::ChainMove::energy`.
__device__ double chain_energy(const ChainOf &chain) {
    double sum = 0.0;
    for (u32 k = 0; k < E.chain.links; ++k) {
        const double freedom = k == 0 ? chain.freedom : 1.0;
        sum += 0.5 * chain.mass(k) * chain.w[k] * chain.w[k] + freedom * chain.kt * chain.x[k];
    }
    return sum;
}

// Pushes a thermostat for half of a time, as `dynamics::nose_hoover::ChainMove::push`.
__device__ void push_chain(const ChainOf &chain, u32 k, double twice, double time) {
    const double drag = k + 1 < E.chain.links ? exp(-0.25 * time * chain.w[k + 1]) : 1.0;
    double lack = twice - chain.freedom * chain.kt;
    if (k > 0) lack = chain.mass(k - 1) * chain.w[k - 1] * chain.w[k - 1] - chain.kt;
    chain.w[k] = (chain.w[k] * drag + 0.5 * time * lack / chain.mass(k)) * drag;
}

// Moves a chain; the factor of velocities of a kinetic energy, as `dynamics::nose_hoover::ChainMove::advance`.
__device__ double move_chain(const ChainOf &chain, double kinetic) {
    if (chain.freedom == 0.0) return 1.0;
    double factor = 1.0, twice = 2.0 * kinetic;
    for (u32 step = 0; step < E.chain.steps; ++step) {
        for (u32 part = 0; part < E.chain.count; ++part) {
            const double time = E.chain.parts[part];
            for (u32 k = E.chain.links; k-- > 0;) push_chain(chain, k, twice, time);
            for (u32 k = 0; k < E.chain.links; ++k) chain.x[k] += chain.w[k] * time;
            const double drag = exp(-chain.w[0] * time);
            factor *= drag;
            twice *= drag * drag;
            for (u32 k = 0; k < E.chain.links; ++k) push_chain(chain, k, twice, time);
        }
    }
    return factor;
}

// Finds the factor of velocities of a kinetic energy, and the heat that it is.
__device__ void scale_velocities(u32 member, double kinetic, u64 step) {
    Member &s = E.members[member];
    const Traits &own = traits(member);
    double &factor = E.change[member].factor;
    if (E.chain.links > 0) {
        const ChainOf chain = {s.chain, s.chain_velocity, double(own.degrees), bath_kt(own, step), E.chain.relaxation};
        const double before = chain_energy(chain);
        factor = move_chain(chain, kinetic);
        s.heat -= chain_energy(chain) - before;
    } else {
        factor = velocity_factor(own, kinetic, step);
        s.heat += (factor * factor - 1.0) * kinetic;
    }
}

// The part of a symmetric tensor that the coupling lets the cell take, as `dynamics::cell_rescaling::Coupling::part`.
__device__ void coupled(u32 coupling, const Matrix &h, const Matrix &of, Matrix &out) {
    const double trace = of[0][0] + of[1][1] + of[2][2];
    Matrix axis;
    double along[3];
    for (int k = 0; k < 3; ++k) {
        const double length = sqrt(h[k][0] * h[k][0] + h[k][1] * h[k][1] + h[k][2] * h[k][2]);
        for (int a = 0; a < 3; ++a) axis[k][a] = h[k][a] / length;
        along[k] = 0.0;
        for (int a = 0; a < 3; ++a) {
            along[k] += axis[k][a] * (of[a][0] * axis[k][0] + of[a][1] * axis[k][1] + of[a][2] * axis[k][2]);
        }
    }
    for (int a = 0; a < 3; ++a) {
        for (int b = 0; b < 3; ++b) {
            const double unit = a == b;
            double value = of[a][b];
            if (coupling == COUPLING_ISOTROPIC) value = unit * (trace / 3.0);
            if (coupling == COUPLING_PLANE) value = (unit - axis[2][a] * axis[2][b]) * (0.5 * (trace - along[2]));
            if (coupling == COUPLING_ANISOTROPIC) {
                value = 0.0;
                for (int k = 0; k < 3; ++k) value += axis[k][a] * axis[k][b] * along[k];
            }
            out[a][b] = value;
        }
    }
}

// The logarithm of the strain, as `dynamics::cell_rescaling::CellRescaling::strain`.
__device__ void strain_of(const Traits &own, const Matrix &h, const Matrix &pressure, u64 step, Matrix &out) {
    const Barostat &how = E.barostat;
    double xi[8];
    for (u32 k = 0; k < 2; ++k) {
        const uint4 bits = block_of(own, step, k, BAROSTAT_STREAM);
        box_muller(bits.x, bits.y, xi[4 * k], xi[4 * k + 1]);
        box_muller(bits.z, bits.w, xi[4 * k + 2], xi[4 * k + 3]);
    }
    const double half = 0.70710678118654752440, yz = half * xi[3], xz = half * xi[4], xy = half * xi[5];
    const Matrix noise = {{xi[0], xy, xz}, {xy, xi[1], yz}, {xz, yz, xi[2]}};
    const double volume = fabs(determinant(h)), width = sqrt(2.0 * bath_kt(own, step) * how.mobility / volume);
    const double wanted = ramped(E.ramps.pressure, step + own.ahead, how.pressure);
    Matrix whole;
    for (int a = 0; a < 3; ++a) {
        for (int b = 0; b < 3; ++b) {
            whole[a][b] = noise[a][b] * width - ((a == b) * wanted - pressure[a][b]) * how.mobility;
        }
    }
    coupled(how.coupling, h, whole, out);
}

// Strains the cell of a member, with the slack that is left to the list (`neighbors::VerletList::holds`).
__device__ void strain_cell(u32 member, const Matrix &stretch) {
    Member &s = E.members[member];
    Matrix moved;
    for (int k = 0; k < 3; ++k) {
        const double *v = s.cell[k];
        for (int a = 0; a < 3; ++a) moved[k][a] = stretch[a][0] * v[0] + stretch[a][1] * v[1] + stretch[a][2] * v[2];
    }
    Matrix strain;
    multiply(stretch, s.strain, strain);
    double least = 1e300, shear = 0.0;
    for (int a = 0; a < 3; ++a) {
        for (int b = 0; b < 3; ++b) {
            s.cell[a][b] = moved[a][b];
            s.strain[a][b] = strain[a][b];
            if (a != b) shear += strain[a][b] * strain[a][b];
        }
        least = fmin(least, fabs(strain[a][a]));
    }
    const double slack = 0.5 * (E.range - E.cutoff) - 0.5 * E.range * (1.0 - (least - sqrt(shear)));
    // A slack below zero asks for a build, wherever atoms are.
    s.slack2 = slack >= 0.0 ? slack * slack : -1.0;
    const double volume = fabs(determinant(moved));
    if (!(volume >= traits(member).least && volume <= traits(member).most)) raise(member, FLAG_CELL);
}

// Moves the piston of a member and both chains, and finds how the cell grows, as `dynamics::mtk::PistonMove::advance`.
__device__ void move_piston(u32 member, double kinetic, u64 step) {
    Member &s = E.members[member];
    const Traits &own = traits(member);
    Change &change = E.change[member];
    const double degrees = double(own.degrees), kt = bath_kt(own, step), half = 0.5 * E.piston.time;
    const ChainOf atoms = {s.chain, s.chain_velocity, degrees, kt, E.chain.relaxation};
    const ChainOf piston = {s.piston_chain, s.piston_chain_velocity, 1.0, kt, E.piston.relaxation};
    const double mass = (degrees + 3.0) * kt * E.piston.relaxation * E.piston.relaxation;
    const double coupling = 1.0 + 3.0 / fmax(degrees, 1.0), pushed = half * coupling * 2.0 / mass;
    const double chains = chain_energy(atoms) + chain_energy(piston);
    change.piston_mass = mass;
    change.piston_pressure = ramped(E.ramps.pressure, step + own.ahead, E.piston.pressure);
    change.before = piston_energy(member);
    kick_piston(member);
    s.piston_rate += pushed * kinetic;
    const double first = half * s.piston_rate;
    change.factor = 1.0;
    if (!(fabs(first) <= MOST_STRAIN)) {
        s.refused = fabs(first);
        raise(member, FLAG_CELL);
        return;
    }
    double factor = exp(-coupling * first);
    factor *= move_chain(atoms, kinetic * factor * factor);
    s.piston_rate *= move_chain(piston, 0.5 * mass * s.piston_rate * s.piston_rate);
    const double second = half * s.piston_rate;
    factor *= exp(-coupling * second);
    s.piston_rate += pushed * (kinetic * factor * factor);
    s.heat -= chain_energy(atoms) + chain_energy(piston) - chains;
    const double strain = first + second, growth = exp(strain);
    if (!(fabs(strain) <= MOST_STRAIN)) {
        s.refused = fabs(strain);
        raise(member, FLAG_CELL);
        return;
    }
    for (int a = 0; a < 3; ++a) {
        for (int b = 0; b < 3; ++b) {
            change.stretch[a][b] = (a == b) * growth;
            change.shrink[a][b] = a == b;
        }
    }
    strain_cell(member, change.stretch);
    change.factor = factor;
    change.strained = change.owing = 1;
}

// A block for a member, between the opening of a step and its closing.
__device__ __forceinline__ void rescale_member(u32 member, int pressing) {
    Member &s = E.members[member];
    const Traits &own = traits(member);
    const u64 step = E.state->begun;
    if (E.state->opened != step + 1 || s.resting) return;
    Matrix twice = {};
    double p[3], trace;
    if (pressing && !E.piston.moves) {
        double k[9];
        block_sum<9>(own.first, own.end, k, [](u32 i, double (&v)[9]) {
            const double *u = E.vel + 3 * size_t(i), m = E.mass[i];
            for (int a = 0; a < 3; ++a) {
                v[a] = m * u[a];
                v[3 + a] = m * u[a] * u[a];
                v[6 + a] = m * u[(a + 1) % 3] * u[(a + 2) % 3];
            }
        });
        for (int a = 0; a < 3; ++a) {
            const int b = (a + 1) % 3, c = (a + 2) % 3;
            p[a] = k[a];
            twice[a][a] = k[3 + a];
            twice[b][c] = twice[c][b] = k[6 + a];
        }
        trace = twice[0][0] + twice[1][1] + twice[2][2];
    } else {
        double k[4];
        block_sum<4>(own.first, own.end, k, [](u32 i, double (&v)[4]) {
            const double *u = E.vel + 3 * size_t(i), m = E.mass[i];
            for (int a = 0; a < 3; ++a) v[a] = m * u[a];
            v[3] = m * (u[0] * u[0] + u[1] * u[1] + u[2] * u[2]);
        });
        for (int a = 0; a < 3; ++a) p[a] = k[a];
        trace = k[3];
    }
    if (threadIdx.x > 0) return;
    Change &change = E.change[member];
    change.strained = 0;
    if (pressing && !E.piston.moves) {
        Matrix moving, ahead, seen;
        const double volume = fabs(determinant(s.cell));
        for (int a = 0; a < 3; ++a) {
            for (int b = 0; b < 3; ++b) {
                moving[a][b] = twice[a][b] - (E.barostat.flight ? 0.0 : p[a] * p[b] / own.total_mass);
                ahead[a][b] = (moving[a][b] - symmetric_derivative(member, a, b)) / volume;
                seen[a][b] = ahead[a][b] + 0.5 * s.response[a][b];
            }
        }
        strain_of(own, s.cell, seen, step, change.strain);
        double largest = 0.0;
        bool fits = true;
        for (int a = 0; a < 9; ++a) {
            const double size = fabs(change.strain[a / 3][a % 3]);
            fits &= size <= MOST_STRAIN;
            largest = fmax(largest, size);
        }
        if (fits) {
            Matrix half, after;
            exponential(change.strain, 1.0, change.stretch);
            exponential(change.strain, -1.0, change.shrink);
            strain_cell(member, change.stretch);
            multiply(change.shrink, twice, half);
            multiply(half, change.shrink, after);
            const double before = trace, q[3] = {p[0], p[1], p[2]};
            trace = after[0][0] + after[1][1] + after[2][2];
            for (int a = 0; a < 3; ++a) {
                const double *in = change.shrink[a];
                p[a] = in[0] * q[0] + in[1] * q[1] + in[2] * q[2];
            }
            double work = 0.0;
            for (int a = 0; a < 9; ++a) work += last_derivative(member)[a] * change.strain[a / 3][a % 3];
            s.work += 0.5 * (trace - before + work);
            multiply(change.shrink, moving, half);
            multiply(half, change.shrink, after);
            const double behind = fabs(determinant(s.cell));
            for (int a = 0; a < 9; ++a) {
                change.rise[a / 3][a % 3] = after[a / 3][a % 3] / behind - ahead[a / 3][a % 3];
            }
            change.strained = change.owing = 1;
        } else {
            s.refused = largest;
            raise(member, FLAG_CELL);
        }
    }
    if (E.velocities.scaled) {
        double speed2 = 0.0;
        for (int a = 0; a < 3; ++a) {
            change.flight[a] = p[a] / own.total_mass;
            speed2 += change.flight[a] * p[a];
        }
        const double kinetic = 0.5 * (trace - speed2);
        if (E.piston.moves) move_piston(member, kinetic, step);
        else scale_velocities(member, kinetic, step);
    }
}

extern "C" __global__ void __launch_bounds__(1024) rescale(int pressing) {
    follow();
    rescale_member(blockIdx.x, pressing);
}

// One block with a thread for each atom: the end of a step and the next up to its forces, in one launch.
extern "C" __global__ void __launch_bounds__(MOST_TOGETHER) advance_together(int finish, int pressing) {
    follow();
    advance_atoms(finish, OPENING);
    __syncthreads();
    rescale_member(0, pressing);
    __syncthreads();
    advance_atoms(0, CLOSING);
}
