// The pairs: atoms are sorted into cells along a space-filling curve, the list is counted, scanned and filled, and
// each row is put into its canonical order (neighbour id, then image). Every step takes from the list the pairs
// that are within the cutoff at that moment.
//
// Periodic directions are searched through as many images as the range asks for, so that cells smaller than the
// range need no special case. Images are relative to the unwrapped positions.

__device__ __forceinline__ void fractional(const double (&inverse)[3][3], int i, double (&f)[3]) {
    const double *r = E.pos + 3 * size_t(i);
    for (int k = 0; k < 3; ++k) f[k] = r[0] * inverse[0][k] + r[1] * inverse[1][k] + r[2] * inverse[2][k];
}

// The inverse of the lattice vectors: a column for each, at right angles to the other two.
__device__ __forceinline__ void invert(const Lattice &h, double (&inverse)[3][3]) {
    for (int k = 0; k < 3; ++k) {
        const double *b = h.of[(k + 1) % 3], *c = h.of[(k + 2) % 3];
        double along = 0.0;
        for (int a = 0; a < 3; ++a) {
            const int p = (a + 1) % 3, q = (a + 2) % 3;
            inverse[a][k] = b[p] * c[q] - b[q] * c[p];
            along += inverse[a][k] * h.of[k][a];
        }
        for (int a = 0; a < 3; ++a) inverse[a][k] /= along;
    }
}

__device__ __forceinline__ double warp_min(double x) {
    for (int d = 16; d > 0; d /= 2) x = fmin(x, __shfl_xor_sync(FULL, x, d));
    return x;
}
__device__ __forceinline__ double warp_max(double x) {
    for (int d = 16; d > 0; d /= 2) x = fmax(x, __shfl_xor_sync(FULL, x, d));
    return x;
}

__device__ int bits_of(int count) { return count <= 1 ? 0 : 32 - __clz(count - 1); }

// A block for each member: the box around its atoms in open directions, and its grid of cells.
extern "C" __global__ void __launch_bounds__(1024) make_grid() {
    __shared__ double low[3][32], high[3][32];
    double lo[3], hi[3], inverse[3][3];
    const u32 member = blockIdx.x;
    const Traits &own = traits(member);
    invert(lattice(member), inverse);
    for (int k = 0; k < 3; ++k) lo[k] = 1e300, hi[k] = -1e300;
    for (u32 i = own.first + threadIdx.x; i < own.end; i += blockDim.x) {
        double f[3];
        fractional(inverse, i, f);
        for (int k = 0; k < 3; ++k) {
            lo[k] = fmin(lo[k], f[k]);
            hi[k] = fmax(hi[k], f[k]);
        }
    }
    for (int k = 0; k < 3; ++k) {
        const double a = warp_min(lo[k]), b = warp_max(hi[k]);
        if (lane_id() == 0) low[k][threadIdx.x / WARP] = a, high[k][threadIdx.x / WARP] = b;
    }
    __syncthreads();
    if (threadIdx.x > 0) return;
    Grid grid;
    const double range = E.range * (1.0 + 1e-9);
    double extent[3], height[3];
    for (int k = 0; k < 3; ++k) {
        double square = 0.0;
        for (int a = 0; a < 3; ++a) {
            grid.inverse[a][k] = inverse[a][k];
            square += inverse[a][k] * inverse[a][k];
        }
        height[k] = 1.0 / sqrt(square);
    }
    for (int k = 0; k < 3; ++k) {
        double a = low[k][0], b = high[k][0];
        for (int w = 1; w < blockDim.x / WARP; ++w) a = fmin(a, low[k][w]), b = fmax(b, high[k][w]);
        grid.origin[k] = own.periodic[k] ? 0.0 : a;
        extent[k] = own.periodic[k] ? 1.0 : b - a;
        const double fit = floor(extent[k] * height[k] / range);
        grid.count[k] = int(fmin(fmax(fit, 1.0), 1024.0));
    }
    for (;;) {
        int widest = 0, bits = 0;
        for (int k = 0; k < 3; ++k) {
            bits += bits_of(grid.count[k]);
            if (grid.count[k] > grid.count[widest]) widest = k;
        }
        grid.cells = 1 << bits;
        if (grid.cells <= int(own.cell_capacity)) break;
        grid.count[widest] = (grid.count[widest] + 1) / 2;
    }
    for (int k = 0; k < 3; ++k) {
        grid.bits[k] = bits_of(grid.count[k]);
        grid.scale[k] = extent[k] > 0.0 ? grid.count[k] / extent[k] : 0.0;
        const double cell = height[k] * extent[k] / grid.count[k];
        grid.reach[k] = own.periodic[k] ? int(ceil(range / cell)) : grid.count[k] > 1 ? 1 : 0;
    }
    E.grid[member] = grid;
    // Displacements and strain count from here on.
    E.members[member].slack2 = 0.25 * (E.range - E.cutoff) * (E.range - E.cutoff);
    for (int a = 0; a < 3; ++a) {
        for (int b = 0; b < 3; ++b) E.members[member].strain[a][b] = a == b;
    }
}

// Place of a cell on the curve (Morton's order, bits interleaved as far as each direction has them).
__device__ __forceinline__ int curve(const Grid &grid, const int (&c)[3]) {
    int place = 0, bit = 0;
    for (int b = 0; b < 10; ++b) {
        for (int k = 0; k < 3; ++k) {
            if (b < grid.bits[k]) place |= ((c[k] >> b) & 1) << bit++;
        }
    }
    return place;
}

// The cell of an atom, and what carries it into the box. Atoms with a coordinate that is not finite go anywhere.
__device__ __forceinline__ void locate(const Grid &grid, const u32 (&periodic)[3], int i, int (&c)[3], int (&wrap)[3]) {
    double f[3];
    fractional(grid.inverse, i, f);
    for (int k = 0; k < 3; ++k) {
        const double turns = periodic[k] ? -floor(f[k]) : 0.0;
        const double inside = (f[k] + turns - grid.origin[k]) * grid.scale[k];
        wrap[k] = fabs(turns) < 5e5 ? int(turns) : 0;
        c[k] = inside > 0.0 ? min(int(fmin(inside, 2048.0)), grid.count[k] - 1) : 0;
    }
}

// Cells that atoms may be in: those that there is room for, or, of one system alone, those that its grid has.
__device__ __forceinline__ int cells() { return SEVERAL ? int(E.cells) : E.grid->cells; }

extern "C" __global__ void clear_cells() {
    for (int c = blockIdx.x * blockDim.x + threadIdx.x; c < cells(); c += gridDim.x * blockDim.x) E.cell_fill[c] = 0;
}

extern "C" __global__ void count_cells() {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= E.atoms) return;
    int c[3], wrap[3];
    const u32 member = member_of(i);
    const Grid grid = E.grid[member];
    locate(grid, traits(member).periodic, i, c, wrap);
    E.cell_of[i] = traits(member).first_cell + curve(grid, c);
    atomicAdd(E.cell_fill + E.cell_of[i], 1u);
}

// One block: out[k] = in[0] + ... + in[k - 1] for k = 0 ... n; clears `in` if asked to. Returns the total.
__device__ u32 exclusive_scan(u32 *in, u32 *out, int n, bool clear) {
    __shared__ u32 sums[32];
    __shared__ u32 carry;
    const int lane = lane_id(), warp = threadIdx.x / WARP;
    if (threadIdx.x == 0) carry = 0;
    __syncthreads();
    for (int base = 0; base < n; base += blockDim.x * 4) {
        u32 v[4], own = 0;
        for (int q = 0; q < 4; ++q) {
            const int at = base + threadIdx.x * 4 + q;
            v[q] = at < n ? in[at] : 0;
            if (clear && at < n) in[at] = 0;
            own += v[q];
        }
        u32 upto = own;
        for (int d = 1; d < 32; d *= 2) {
            const u32 other = __shfl_up_sync(FULL, upto, d);
            if (lane >= d) upto += other;
        }
        if (lane == 31) sums[warp] = upto;
        __syncthreads();
        u32 ahead = carry;
        for (int w = 0; w < warp; ++w) ahead += sums[w];
        u32 before = ahead + upto - own;
        for (int q = 0; q < 4; ++q) {
            const int at = base + threadIdx.x * 4 + q;
            if (at < n) out[at] = before;
            before += v[q];
        }
        __syncthreads();
        if (threadIdx.x == blockDim.x - 1) carry = before;
        __syncthreads();
    }
    if (threadIdx.x == 0) out[n] = carry;
    return carry;
}

extern "C" __global__ void __launch_bounds__(1024) scan_cells() {
    exclusive_scan(E.cell_fill, E.cell_start, cells(), true);
}

extern "C" __global__ void fill_cells() {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= E.atoms) return;
    const u32 cell = E.cell_of[i];
    E.cell_atoms[E.cell_start[cell] + atomicAdd(E.cell_fill + cell, 1u)] = i;
}

// Moves every atom to its place, by cell, then by id: RECORD numbers, which are position, velocity, force, mass,
// species and id.
extern "C" __global__ void sort_out() {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= E.atoms) return;
    const u32 i = E.cell_atoms[at], cell = E.cell_of[i], id = E.id[i];
    u32 to = E.cell_start[cell];
    for (u32 other = E.cell_start[cell]; other < E.cell_start[cell + 1]; ++other) to += E.id[E.cell_atoms[other]] < id;
    double *record = E.scratch + size_t(to) * RECORD;
    for (int a = 0; a < 3; ++a) {
        record[a] = E.pos[3 * size_t(i) + a];
        record[3 + a] = E.vel[3 * size_t(i) + a];
        record[6 + a] = E.force[3 * size_t(i) + a];
    }
    record[9] = E.mass[i];
    reinterpret_cast<u32 *>(record + 10)[0] = E.species[i];
    reinterpret_cast<u32 *>(record + 10)[1] = id;
}

extern "C" __global__ void sort_in() {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= E.atoms) return;
    const double *record = E.scratch + size_t(i) * RECORD;
    for (int a = 0; a < 3; ++a) {
        E.pos[3 * size_t(i) + a] = E.built[3 * size_t(i) + a] = record[a];
        E.vel[3 * size_t(i) + a] = record[3 + a];
        E.force[3 * size_t(i) + a] = record[6 + a];
    }
    E.mass[i] = record[9];
    E.species[i] = reinterpret_cast<const u32 *>(record + 10)[0];
    E.id[i] = reinterpret_cast<const u32 *>(record + 10)[1];
    E.slot[E.id[i]] = i;
    int c[3], wrap[3];
    const u32 member = member_of(i);
    locate(E.grid[member], traits(member).periodic, i, c, wrap);
    E.wrap[i] = pack_image(wrap[0], wrap[1], wrap[2]);
    if (i == 0) E.state->reach = 0;
}

__device__ __forceinline__ int floor_div(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// A warp calls found(id of the neighbour, image, rank among those found) for all in range of atom i.
template <class Found> __device__ __forceinline__ u32 search(int i, Found found) {
    const u32 member = member_of(i);
    const Grid &grid = E.grid[member];
    const Traits &own = traits(member);
    int home[3], wrap[3];
    locate(grid, own.periodic, i, home, wrap);
    const double range2 = E.range * E.range;
    const Lattice h = lattice(member);
    u32 total = 0;
    for (int a = -grid.reach[0]; a <= grid.reach[0]; ++a) {
        for (int b = -grid.reach[1]; b <= grid.reach[1]; ++b) {
            for (int c = -grid.reach[2]; c <= grid.reach[2]; ++c) {
                int cell[3] = {home[0] + a, home[1] + b, home[2] + c}, turn[3];
                bool outside = false;
                for (int k = 0; k < 3; ++k) {
                    turn[k] = floor_div(cell[k], grid.count[k]);
                    cell[k] -= turn[k] * grid.count[k];
                    outside |= turn[k] != 0 && !own.periodic[k];
                }
                if (outside) continue;
                const u32 place = own.first_cell + curve(grid, cell);
                const u32 first = E.cell_start[place], end = E.cell_start[place + 1];
                for (u32 base = first; base < end; base += WARP) {
                    const u32 j = base + lane_id();
                    bool near = false;
                    i64 image = 0;
                    if (j < end) {
                        int n[3];
                        unpack_image(E.wrap[j], n);
                        for (int k = 0; k < 3; ++k) n[k] += turn[k] - wrap[k];
                        image = pack_image(n[0], n[1], n[2]);
                        double r[3];
                        separation(h, i, j, image, r);
                        const bool self = j == i && n[0] == 0 && n[1] == 0 && n[2] == 0;
                        near = !self && r[0] * r[0] + r[1] * r[1] + r[2] * r[2] < range2;
                    }
                    const u32 votes = __ballot_sync(FULL, near);
                    if (near) found(E.id[j], image, total + __popc(votes & ((1u << lane_id()) - 1)));
                    total += __popc(votes);
                }
            }
        }
    }
    return total;
}

extern "C" __global__ void __launch_bounds__(256) count_pairs() {
    const int i = warp_of_grid();
    if (i >= E.atoms) return;
    const u32 total = search(i, [](u32, i64, u32) {});
    if (lane_id() == 0) E.row_count[i] = total;
}

extern "C" __global__ void __launch_bounds__(1024) scan_pairs() {
    const u32 total = exclusive_scan(E.row_count, E.rows, E.atoms, false);
    if (threadIdx.x == 0) {
        E.state->pairs = total;
        // The rows are new: whatever stopped the run is dealt with, unless there is no room for them.
        E.state->halt = total > E.list_capacity ? FLAG_CAPACITY : 0;
    }
}

extern "C" __global__ void __launch_bounds__(256) fill_pairs() {
    const int i = warp_of_grid();
    if (i >= E.atoms || E.state->pairs > E.list_capacity) return;
    const u32 start = E.rows[i];
    search(i, [start](u32 id, i64 image, u32 rank) {
        E.draft_col[start + rank] = id;
        E.draft_image[start + rank] = image;
    });
}

// Canonical order: each pair goes where as many of its row come before it.
extern "C" __global__ void __launch_bounds__(256) sort_pairs() {
    const int i = warp_of_grid();
    if (i >= E.atoms || E.state->pairs > E.list_capacity) return;
    const u32 start = E.rows[i], end = E.rows[i + 1];
    for (u32 p = start + lane_id(); p < end; p += WARP) {
        const u32 id = E.draft_col[p];
        const i64 image = E.draft_image[p];
        u32 rank = 0;
        for (u32 o = start; o < end; ++o) {
            const u32 other = E.draft_col[o];
            rank += other < id || (other == id && E.draft_image[o] < image);
        }
        E.col[start + rank] = E.slot[id];
        E.image[start + rank] = image;
    }
}

// The opposite of each pair, by bisection of the neighbour's row.
extern "C" __global__ void __launch_bounds__(256) match_pairs() {
    const int i = warp_of_grid();
    if (i >= E.atoms || E.state->pairs > E.list_capacity) return;
    const u32 id = E.id[i];
    for (u32 p = E.rows[i] + lane_id(); p < E.rows[i + 1]; p += WARP) {
        const u32 j = E.col[p];
        int n[3];
        unpack_image(E.image[p], n);
        const i64 image = pack_image(-n[0], -n[1], -n[2]);
        u32 low = E.rows[j], high = E.rows[j + 1];
        while (low + 1 < high) {
            const u32 middle = (low + high) / 2, other = E.id[E.col[middle]];
            if (other < id || (other == id && E.image[middle] <= image)) low = middle;
            else high = middle;
        }
        E.rev[p] = low;
    }
}

// A stretch of a row of the list, a lane's pairs one row of lanes apart: what is known before positions are.
struct Stretch {
    static constexpr int TURNS = 4, LENGTH = TURNS * WARP;
    u32 p[TURNS], j[TURNS], back[TURNS], end;
    i64 image[TURNS];

    __device__ void fetch(u32 first, u32 row_end) {
        end = row_end;
#pragma unroll
        for (int k = 0; k < TURNS; ++k) {
            p[k] = first + k * WARP + lane_id();
            if (p[k] >= end) continue;
            j[k] = E.col[p[k]];
            image[k] = E.image[p[k]];
            back[k] = E.rev[p[k]];
        }
    }
};

// Every step: the pairs within the cutoff, in the order of the list.
__device__ __forceinline__ void measure_row(int i) {
    const u32 lane = lane_id();
    // The list was built long ago; what there was no room for is not read.
    u32 start = 0, end = 0, member = 0;
    Stretch now;
    if (i < E.atoms) {
        member = member_of(i);
        start = E.rows[i];
        end = min(E.rows[i + 1], E.list_capacity);
        now.fetch(start, end);
    }
    follow();
    if (i >= E.atoms) return;
    // On its way while it is seen whether there is anything to do.
    const Lattice h = lattice(member);
    if (E.state->halt) {
        // What follows has nothing to do, and touches no list that may have run out of room.
        if (lane == 0) E.active[i] = 0;
        return;
    }
    u32 count = 0;
    bool contact = false;
    const double contact_limit = traits(member).contact_limit;
    for (u32 base = start; base < end; base += Stretch::LENGTH) {
        if (base > start) now.fetch(base, end);
        double r[Stretch::TURNS][3];
#pragma unroll
        for (int k = 0; k < Stretch::TURNS; ++k) {
            if (now.p[k] < end) separation(h, i, now.j[k], now.image[k], r[k]);
        }
#pragma unroll
        for (int k = 0; k < Stretch::TURNS; ++k) {
            if (base + k * WARP >= end) break;
            bool inside = false;
            double d = 0.0;
            if (now.p[k] < end) {
                d = sqrt(r[k][0] * r[k][0] + r[k][1] * r[k][1] + r[k][2] * r[k][2]);
                inside = d < E.cutoff;
                contact |= d < contact_limit;
            }
            const u32 votes = __ballot_sync(FULL, inside);
            if (inside) {
                const u32 at = start + count + __popc(votes & ((1u << lane) - 1));
                const double inverse = 1.0 / d;
                E.geometry[at] = make_float4(r[k][0] * inverse, r[k][1] * inverse, r[k][2] * inverse, d);
                E.pair[at] = make_uint2(now.j[k], now.p[k]);
                E.opposite[at] = now.back[k];
            }
            count += __popc(votes);
        }
    }
    if (lane == 0) E.active[i] = count;
    if (__any_sync(FULL, contact) && lane == 0) raise(member, FLAG_CONTACT);
}

extern "C" __global__ void __launch_bounds__(256) measure() { measure_row(warp_of_grid()); }
