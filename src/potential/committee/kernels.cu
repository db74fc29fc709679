// The mean of several potentials, each of which has written gradients of pairs and energies of atoms to memory of its
// own, and how far they are apart.

__constant__ Committee C;

// t and s of a pair (`Engine::push`), as a member has them.
__device__ __forceinline__ void push_of(u32 member, u32 p, double (&push)[4]) {
    const u32 parts = C.parts[member];
    const float4 *of = C.push[member] + size_t(p) * parts;
    for (int k = 0; k < 4; ++k) push[k] = 0.0;
    for (u32 part = 0; part < parts; ++part) {
        const float4 one = of[part];
        push[0] += one.x;
        push[1] += one.y;
        push[2] += one.z;
        push[3] += one.w;
    }
}

// Gradients of pairs. A warp for each atom.
extern "C" __global__ void __launch_bounds__(256) committee_gradients() {
    const int i = warp_of_grid();
    if (i >= E.atoms) return;
    const u32 start = E.rows[i], end = start + E.active[i];
    for (u32 at = start + lane_id(); at < end; at += WARP) {
        const u32 p = E.pair[at].y;
        double sum[4] = {};
        for (u32 member = 0; member < C.members; ++member) {
            double push[4];
            push_of(member, p, push);
            for (int k = 0; k < 4; ++k) sum[k] += push[k];
        }
        for (int k = 0; k < 4; ++k) sum[k] /= C.members;
        E.push[p] = make_float4(sum[0], sum[1], sum[2], sum[3]);
    }
}

// Energies of atoms.
extern "C" __global__ void __launch_bounds__(256) committee_energies() {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= E.atoms) return;
    double sum = 0.0;
    for (u32 member = 0; member < C.members; ++member) sum += C.energy[member][i];
    E.energy[i] = sum / C.members;
}

// The force on an atom, as a member has it: the sum of the engine's `force_on`. A warp for each atom.
__device__ __forceinline__ void force_of(u32 member, int i, double (&f)[3]) {
    for (int a = 0; a < 3; ++a) f[a] = 0.0;
    const u32 start = E.rows[i], end = start + E.active[i];
    for (u32 at = start + lane_id(); at < end; at += WARP) {
        const float4 g = E.geometry[at];
        double here[4], there[4];
        push_of(member, E.pair[at].y, here);
        push_of(member, E.opposite[at], there);
        const double u[3] = {g.x, g.y, g.z};
        double along = 0.0;
        for (int a = 0; a < 3; ++a) along += (there[a] - here[a]) * u[a];
        for (int a = 0; a < 3; ++a) {
            f[a] += (here[3] + there[3]) * u[a] + (there[a] - here[a] - along * u[a]) / g.w;
        }
    }
    for (int a = 0; a < 3; ++a) f[a] = warp_sum(f[a]);
}

// The variance of the force on each atom. A warp for each.
extern "C" __global__ void __launch_bounds__(256) committee_variances() {
    const int i = warp_of_grid();
    if (i >= E.atoms) return;
    double f[MOST_MEMBERS][3], mean[3] = {}, sum = 0.0;
    for (u32 member = 0; member < C.members; ++member) {
        force_of(member, i, f[member]);
        for (int a = 0; a < 3; ++a) mean[a] += f[member][a] / C.members;
    }
    for (u32 member = 0; member < C.members; ++member) {
        for (int a = 0; a < 3; ++a) sum += (f[member][a] - mean[a]) * (f[member][a] - mean[a]);
    }
    if (lane_id() == 0) C.variance[i] = sum / (C.members - 1);
}

// The sum over a block of threads of what each has.
__device__ __forceinline__ double sum_over_block(double mine, double *part) {
    mine = warp_sum(mine);
    __syncthreads();
    if (lane_id() == 0) part[threadIdx.x / WARP] = mine;
    __syncthreads();
    double sum = 0.0;
    for (int w = 0; w < blockDim.x / WARP; ++w) sum += part[w];
    return sum;
}

// The larger of two; what is not a number stays so.
__device__ __forceinline__ double larger(double a, double b) { return isnan(a) || b <= a ? a : b; }

// Largest deviation of a force, and deviation of the energy for each atom, to `out`. Energies are summed by id, so that
// no bit depends on where atoms lie. A block for each system, whose numbers are `stride` behind those of the one before.
extern "C" __global__ void __launch_bounds__(1024) committee_spread(double *out, int stride) {
    __shared__ double part[32];
    const Traits &own = traits(blockIdx.x);
    double most = 0.0;
    for (u32 i = own.first + threadIdx.x; i < own.end; i += blockDim.x) {
        most = larger(most, C.variance[i]);
    }
    for (int d = WARP / 2; d > 0; d /= 2) {
        most = larger(most, __shfl_xor_sync(FULL, most, d));
    }
    if (lane_id() == 0) part[threadIdx.x / WARP] = most;
    __syncthreads();
    for (int w = 0; w < blockDim.x / WARP; ++w) {
        most = larger(most, part[w]);
    }
    double energy[MOST_MEMBERS], mean = 0.0, squares = 0.0;
    for (u32 member = 0; member < C.members; ++member) {
        double mine = 0.0;
        for (u32 id = own.first + threadIdx.x; id < own.end; id += blockDim.x) mine += C.energy[member][E.slot[id]];
        energy[member] = sum_over_block(mine, part) + C.offset[blockIdx.x * C.members + member];
        mean += energy[member] / C.members;
    }
    for (u32 member = 0; member < C.members; ++member) squares += (energy[member] - mean) * (energy[member] - mean);
    if (threadIdx.x > 0) return;
    out += size_t(blockIdx.x) * stride;
    out[0] = sqrt(most);
    out[1] = sqrt(squares / (C.members - 1)) / (own.end - own.first);
}
