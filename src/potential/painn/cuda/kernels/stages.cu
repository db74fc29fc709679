// The atom-wise layers as kernels: one for each product, or, with few atoms, one for all products between two messages.
//
// FUSED: a cluster of blocks works on a strip of 16 atoms, each block on its share of the channels. A product is made in
// one of two ways. `Gathered`: each block has all of the input and makes its own channels of the output; before, blocks
// write their channels of the input into each other's shared memory. `Scattered`: each block has its own channels of
// the input and makes their part of all the output; after, the parts of a block's own channels come to it from all blocks.
// So what travels is the narrower side of each product.
//
// A block's share of all of a stage's weights lies in one piece (`Pack`), in the order in which tensor cores take it: for 16
// inputs and 8 outputs 32 lanes' float4. With few strips (SHARED_WEIGHTS) it is copied to shared memory while the kernel
// before still runs, which also leaves a multiprocessor to one strip; otherwise each product's part is fetched before
// the barrier ahead of it.

#if FUSED
constexpr int CLUSTER = F / 16 < 8 ? F / 16 : 8;
constexpr int SHARE = F / CLUSTER;                    // channels of a block: 16, or 32 with 256 features
constexpr int STRIPS = SHARE / 8;
constexpr int K_PARTS = FUSED_WARPS / STRIPS;         // warps that share a strip of a gathered product
constexpr int FUSED_THREADS = FUSED_WARPS * WARP;
constexpr int ROWS = STRIP;

// Shared memory (floats): two boards of gathered inputs, used in turn; the block's own inputs of a scattered product; the
// parts of a gathered product; what a scattered product brings. Some places serve twice: the last product of a stage finds
// its inputs where a board was, and the first one's parts lie where the last one's results will come. `choice.rs` asks for
// as much.
constexpr int UNIT = ROWS * SHARE, BOARD_SIZE = ROWS * F, TILE_PARTS = FUSED_WARPS * ROWS * 8;
constexpr int BOARD_0 = 0, OWN = BOARD_SIZE;
constexpr int BOARD_1 = OWN + (CLUSTER < 3 ? 6 - CLUSTER : 3) * UNIT;
constexpr int PARTS = BOARD_1 + BOARD_SIZE;           // two tiles, and four more that reach into the results
constexpr int RESULT_3 = PARTS + 2 * TILE_PARTS;
constexpr int RESULT_1 = RESULT_3 + (2 * BOARD_SIZE > 4 * TILE_PARTS ? 2 * BOARD_SIZE : 4 * TILE_PARTS);
constexpr int WEIGHTS = RESULT_1 + BOARD_SIZE;
extern __shared__ float4 fused_memory[];
__device__ __forceinline__ float *board(int at) { return reinterpret_cast<float *>(fused_memory) + at; }

// What a board waits for: a barrier in shared memory that counts the bytes which arrive on it. A board is written
// again only by blocks that have all of another board's next contents, which are sent by blocks that have read
// this one: so boards used in turn need no other order.
__device__ u64 *barriers() {
    __shared__ u64 all[6]; // the last two are for weights: those of the first product, and the others
    return all;
}
__device__ __forceinline__ u32 board_barrier(int which) {
    return shared_address(barriers() + (which == BOARD_0 ? 0 : which == BOARD_1 ? 1 : which == RESULT_1 ? 2 : 3));
}

__device__ __forceinline__ void expect(u32 barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

// The weights of a stage that a block needs, `all` numbers, those of the first product in front.
struct Pack {
    const Four *weights;

    // First in a stage: barriers exist in all blocks of the cluster before anything is sent.
    __device__ Pack(const float *packs, int first, int all) {
        if (threadIdx.x < 6) {
            asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(barriers() + threadIdx.x))
                         : "memory");
            asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        }
        __syncthreads();
        weights = reinterpret_cast<const Four *>(packs) + size_t(blockIdx.x) * all / 4;
        if (SHARED_WEIGHTS && threadIdx.x == 0) {
            copy(0, 0, first);
            copy(1, first, all - first);
        }
        if (SHARED_WEIGHTS) weights = reinterpret_cast<const Four *>(board(WEIGHTS));
        asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
        asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
    }

    // Waits for those of the first product, or for the others.
    static __device__ void first_here() { here(0); }
    static __device__ void others_here() { here(1); }

  private:
    static __device__ u32 arrival(int part) { return shared_address(barriers() + 4 + part); }
    static __device__ void here(int part) {
        if (SHARED_WEIGHTS) await(arrival(part), 0);
    }
    __device__ void copy(int part, int from, int count) const {
        const int bytes = count / 4 * sizeof(Four);
        expect(arrival(part), bytes);
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                         shared_address(reinterpret_cast<const Four *>(board(WEIGHTS)) + from / 4)),
                     "l"(weights + from / 4), "r"(bytes), "r"(arrival(part))
                     : "memory");
    }
};

// Waits until all of `numbers` floats for each row have come to a board: the `use`th time that it is waited for.
__device__ __forceinline__ void receive(int which, int numbers, int use) {
    const u32 barrier = board_barrier(which);
    if (threadIdx.x == 0) expect(barrier, numbers * ROWS * 4);
    await(barrier, use & 1);
}

// Writes two numbers to a place in a block of the cluster.
__device__ __forceinline__ void send_to(int rank, u32 barrier, u32 here, float2 v) {
    u32 there, counted;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(here), "r"(rank));
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(counted) : "r"(barrier), "r"(rank));
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [%0], {%1, %2}, [%3];" ::"r"(there), "f"(v.x),
                 "f"(v.y), "r"(counted)
                 : "memory");
}

// The thread that settles a row and a pair of channels of every product.
struct Owner {
    int row, local, ch, atom;
    bool owns, live;
    __device__ Owner() {
        row = threadIdx.x / (SHARE / 2);
        local = threadIdx.x % (SHARE / 2) * 2;
        ch = blockIdx.x * SHARE + local;
        atom = blockIdx.y * ROWS + row;
        owns = row < ROWS;
        live = owns && atom < int(E.atoms);
    }
    __device__ size_t at(int width) const { return size_t(atom) * width + ch; }
    __device__ size_t at(int c, int width) const { return (size_t(atom) * 3 + c) * width + ch; }
    template <class T> __device__ float2 read(const T *from, size_t at) const {
        return live ? ld2(from + at) : make_float2(0, 0);
    }
    template <class T> __device__ void write(T *to, size_t at, float2 v) const {
        if (live) st2(to + at, v);
    }
    __device__ float2 read(Spot from) const { return live ? ld2(from.at(atom, ch)) : make_float2(0, 0); }
    __device__ void write(Spot to, float2 v) const {
        if (live) st2(to.at(atom, ch), v);
    }
    // To a board in all blocks.
    __device__ void tell(int which, float2 v) const {
        if (!owns) return;
        const u32 here = shared_address(board(which) + (ch / 16 * ROWS + row) * 16 + ch % 16);
        const u32 barrier = board_barrier(which);
#pragma unroll
        for (int rank = 0; rank < CLUSTER; ++rank) send_to(rank, barrier, here, v);
    }
    // To the block's own inputs: group `group` of `SHARE` channels, of component c.
    __device__ void keep(int own, int components, int c, int group, float2 v) const {
        const int k = group * SHARE + local;
        if (owns) st2(board(own) + ((k / 16 * components + c) * ROWS + row) * 16 + k % 16, v);
    }
};

// Four numbers of a row on a board.
__device__ __forceinline__ float4 board_row(int which, int row, int k) {
    return ld4(board(which) + (k / 16 * ROWS + row) * 16 + k % 16);
}

__device__ __forceinline__ float2 scale2(float2 a, float2 b, float2 c) {
    return make_float2(fmaf(a.x, b.x, c.x), fmaf(a.y, b.y, c.y));
}
__device__ __forceinline__ float2 silu(float2 v) { return make_float2(silu(v.x), silu(v.y)); }

// A product of 16 rows (of NC components each) with NG groups of N columns, of which the block makes its own.
template <int NC, int NG, int K, int N> struct Gathered {
    static constexpr int SIZE = NG * SHARE * K, BLOCKS = (K / 16 + K_PARTS - 1) / K_PARTS,
                         AHEAD = SHARED_WEIGHTS ? 1 : BLOCKS;
    const Four *weights;
    Four ahead[AHEAD][NG];

    __device__ int block_of(int i) const { return i * K_PARTS + threadIdx.x / WARP % K_PARTS; }
    __device__ bool idle(int i) const { return (K % (16 * K_PARTS) && block_of(i) * 16 >= K) || (N < F && column() >= N); }
    __device__ int column() const { return (blockIdx.x * STRIPS + threadIdx.x / WARP / K_PARTS) * 8; }

    __device__ Gathered(const Four *weights) : weights(weights) {
#pragma unroll
        for (int i = 0; i < BLOCKS && !SHARED_WEIGHTS; ++i) fetch(i, ahead[i]);
    }
    __device__ void fetch(int i, Four (&b)[NG]) const {
#pragma unroll
        for (int r = 0; r < NG; ++r) {
            const int tile = (r * STRIPS + threadIdx.x / WARP / K_PARTS) * (K / 16) + block_of(i);
            b[r] = idle(i) ? four(make_float4(0, 0, 0, 0)) : weights[tile * WARP + lane_id()];
        }
    }

    // The sums of an owner's row and channels; `load(c, row, k)` gives four numbers of a row, `reach(i)` comes before the
    // warp's stretch i of 16 inputs.
    template <class Load, class Reach>
    __device__ void operator()(const Owner &me, float2 (&out)[NC][NG], Load load, Reach reach) const {
        if (N < F && blockIdx.x * SHARE >= N) return; // none of the columns are this block's
        const int warp = threadIdx.x / WARP, strip = warp / K_PARTS, g = lane_id() / 4, t = lane_id() % 4;
        constexpr int SETS = sets_for(NC * NG);
        float *parts = board(PARTS);
        auto place = [&](int part, int tile, int s, int row) {
            return parts + (((tile * K_PARTS + part) * STRIPS + s) * ROWS + row) * 8;
        };
        float acc[SETS][NC][NG][4] = {};
#pragma unroll
        for (int i = 0; i < BLOCKS; ++i) {
            reach(i);
            if (idle(i)) continue;
            Four upper[NC], lower[NC];
#pragma unroll
            for (int c = 0; c < NC; ++c) {
                upper[c] = four(load(c, g, block_of(i) * 16 + t * 4));
                lower[c] = four(load(c, g + 8, block_of(i) * 16 + t * 4));
            }
            if constexpr (SHARED_WEIGHTS) {
                Four now[NG];
                fetch(i, now);
                mma16<SETS, NC, NG>(acc, upper, lower, now);
            } else {
                mma16<SETS, NC, NG>(acc, upper, lower, ahead[i]);
            }
        }
        __syncthreads(); // owners have read the parts of the product before
#pragma unroll
        for (int c = 0; c < NC; ++c) {
#pragma unroll
            for (int r = 0; r < NG; ++r) {
                float *to = place(warp % K_PARTS, c * NG + r, strip, g) + 2 * t;
                st2(to, make_float2(total(acc, c, r, 0), total(acc, c, r, 1)));
                st2(to + 8 * 8, make_float2(total(acc, c, r, 2), total(acc, c, r, 3)));
            }
        }
        __syncthreads();
        if (!me.owns) return;
#pragma unroll
        for (int c = 0; c < NC; ++c) {
#pragma unroll
            for (int r = 0; r < NG; ++r) {
                float2 v[K_PARTS];
#pragma unroll
                for (int w = 0; w < K_PARTS; ++w) v[w] = ld2(place(w, c * NG + r, me.local / 8, me.row) + me.local % 8);
                out[c][r] = sum_of<K_PARTS>(v);
            }
        }
    }

    template <class Load> __device__ void operator()(const Owner &me, float2 (&out)[NC][NG], Load load) const {
        (*this)(me, out, load, [](int) {});
    }

    // The same from a board.
    __device__ void operator()(const Owner &me, float2 (&out)[NC][NG], int which) const {
        (*this)(me, out, [&](int, int row, int k) { return board_row(which, row, k); });
    }

    template <int COUNT> static __device__ float2 sum_of(float2 (&v)[COUNT]) {
        float2 sum = v[0];
#pragma unroll
        for (int w = 1; w < COUNT; ++w) sum = sum + v[w];
        return sum;
    }
};

// A product with F columns of what owners keep: NG groups of their channels; the results come to a board.
template <int NC, int NG> struct Scattered {
    static constexpr int SIZE = NG * SHARE * F, TURNS = (F / 8 + FUSED_WARPS - 1) / FUSED_WARPS, BLOCKS = NG * SHARE / 16;
    static constexpr int AHEAD = SHARED_WEIGHTS ? 1 : BLOCKS;
    const Four *weights;
    Four ahead[AHEAD][TURNS];

    __device__ int strip_of(int turn) const { return turn * FUSED_WARPS + threadIdx.x / WARP; }
    __device__ bool idle(int turn) const { return F / 8 % FUSED_WARPS && strip_of(turn) >= F / 8; }

    __device__ Scattered(const Four *weights) : weights(weights) {
#pragma unroll
        for (int i = 0; i < BLOCKS && !SHARED_WEIGHTS; ++i) {
#pragma unroll
            for (int n = 0; n < TURNS; ++n) ahead[i][n] = fetch(i, n);
        }
    }
    __device__ Four fetch(int i, int turn) const {
        const int tile = i * (F / 8) + strip_of(turn);
        return idle(turn) ? four(make_float4(0, 0, 0, 0)) : weights[tile * WARP + lane_id()];
    }

    // Once owners have kept their inputs. What one turn brings is on its way while the next is made.
    __device__ void operator()(int own, int which) const {
        const int g = lane_id() / 4, t = lane_id() % 4;
        const u32 barrier = board_barrier(which);
        constexpr int SETS = sets_for(NC);
        __syncthreads();
#pragma unroll
        for (int n = 0; n < TURNS; ++n) {
            if (idle(n)) continue;
            float acc[SETS][NC][1][4] = {};
#pragma unroll
            for (int i = 0; i < BLOCKS; ++i) {
                Four upper[NC], lower[NC];
                const Four b[1] = {SHARED_WEIGHTS ? fetch(i, n) : ahead[i % AHEAD][n]};
#pragma unroll
                for (int c = 0; c < NC; ++c) {
                    const float *from = board(own) + ((i * NC + c) * ROWS + g) * 16 + t * 4;
                    upper[c] = four(ld4(from));
                    lower[c] = four(ld4(from + 8 * 16));
                }
                mma16<SETS, NC, 1>(acc, upper, lower, b);
            }
#pragma unroll
            for (int c = 0; c < NC; ++c) {
                const float *to =
                    board(which) + (((blockIdx.x * NC + c) * STRIPS + strip_of(n) % STRIPS) * ROWS + g) * 8 + 2 * t;
                const int rank = strip_of(n) / STRIPS;
                send_to(rank, barrier, shared_address(to), make_float2(total(acc, c, 0, 0), total(acc, c, 0, 1)));
                send_to(rank, barrier, shared_address(to + 8 * 8), make_float2(total(acc, c, 0, 2), total(acc, c, 0, 3)));
            }
        }
    }

    // The sums of an owner's row and channels, once they have come.
    __device__ void collect(const Owner &me, float2 (&out)[NC], int which, int use) const {
        receive(which, NC * F, use);
        if (!me.owns) return;
#pragma unroll
        for (int c = 0; c < NC; ++c) {
            float2 v[CLUSTER];
#pragma unroll
            for (int r = 0; r < CLUSTER; ++r) {
                v[r] = ld2(board(which) + (((r * NC + c) * STRIPS + me.local / 8) * ROWS + me.row) * 8 + me.local % 8);
            }
            out[c] = v[0];
#pragma unroll
            for (int r = 1; r < CLUSTER; ++r) out[c] = out[c] + v[r];
        }
    }
};

// Four channels of a row.
__device__ __forceinline__ float4 row_of(Spot from, int row, int k) {
    const int atom = blockIdx.y * ROWS + row;
    return atom < int(E.atoms) ? ld4(from.at(atom, k)) : make_float4(0, 0, 0, 0);
}

// What an owner keeps of a layer from its update to the way back.
struct Kept {
    float2 v[3], w[3], norm, dot, k, b, c;
};

// Where the weights of each product are in a stage's pack: of the update on the way forward, and on the way back.
constexpr int MIX = 0, UPDATE1 = Gathered<3, 2, F, F>::SIZE, UPDATE2 = UPDATE1 + Gathered<1, 1, 2 * F, F>::SIZE;
constexpr int UPDATED = UPDATE2 + Gathered<1, 3, F, F>::SIZE;
constexpr int UPDATE2_BACK = 0, UPDATE1_BACK = Scattered<1, 3>::SIZE, MIX_BACK = UPDATE1_BACK + Gathered<1, 2, F, F>::SIZE;
constexpr int UPDATED_BACK = MIX_BACK + Scattered<3, 2>::SIZE;

// From the messages of layer l to the scalars q behind it, told on BOARD_1.
__device__ __forceinline__ float2 update_forward(int l, const Owner &me, const Pack &pack, Kept &kept) {
    const Layer &layer = N.layer[l];
    const bool last = l == LAYERS - 1;
    const Gathered<3, 2, F, F> mix(pack.weights + MIX / 4);
    const float2 zero = make_float2(0, 0), epsilon = make_float2(layer.epsilon, layer.epsilon);
    const float2 k_bias = me.owns ? ld2(layer.update1_bias + me.ch) : zero;
    float2 bias[3];
    for (int r = 0; r < 3; ++r) bias[r] = me.owns ? ld2(layer.update2_bias + r * F + me.ch) : zero;
    follow();
    const float2 q1 = me.read(N.q1, me.at(F));
    float2 mu1[3];
    for (int c = 0; c < 3; ++c) mu1[c] = last ? zero : me.read(N.mu1, me.at(c, F));
    float2 mixed[3][2] = {};
    const Gathered<1, 1, 2 * F, F> update1(pack.weights + UPDATE1 / 4);
    pack.first_here();
    mix(me, mixed, [](int c, int row, int k) { return row_of(spot(N.mu1, 3, c), row, k); });
    pack.others_here();
    float2 square = epsilon;
    kept.dot = zero;
    for (int c = 0; c < 3; ++c) {
        kept.v[c] = mixed[c][0];
        kept.w[c] = mixed[c][1];
        square = scale2(kept.v[c], kept.v[c], square);
        kept.dot = scale2(kept.v[c], kept.w[c], kept.dot);
    }
    kept.norm = make_float2(sqrtf(square.x), sqrtf(square.y));
    me.tell(BOARD_1, kept.norm);
    if (!last) {
        for (int c = 0; c < 3; ++c) {
            me.write(layer.vw, me.at(c, 2 * F), kept.v[c]);
            me.write(layer.vw, me.at(c, 2 * F) + F, kept.w[c]);
        }
        me.write(layer.norm, me.at(F), kept.norm);
        me.write(layer.dot, me.at(F), kept.dot);
    }
    float2 k[1][1] = {};
    // The scalars of all channels have long been in memory: half of the product is made while the norms are on their way.
    update1(
        me, k,
        [&](int, int row, int k) { return k < F ? row_of(spot(N.q1), row, k) : board_row(BOARD_1, row, k - F); },
        [&](int i) {
            if (i == update1.BLOCKS / 2) receive(BOARD_1, F, 0);
        });
    const Gathered<1, 3, F, F> update2(pack.weights + UPDATE2 / 4);
    kept.k = k[0][0] + k_bias;
    me.tell(BOARD_0, silu(kept.k));
    if (!last) me.write(layer.k, me.at(F), kept.k);
    receive(BOARD_0, F, 0);
    float2 abc[1][3] = {};
    update2(me, abc, BOARD_0);
    kept.b = abc[0][1] + bias[1];
    kept.c = abc[0][2] + bias[2];
    const float2 q = scale2(kept.c, kept.dot, q1 + abc[0][0] + bias[0]);
    me.tell(BOARD_1, q);
    if (!last) {
        me.write(layer.b, me.at(F), kept.b);
        me.write(layer.c, me.at(F), kept.c);
        me.write(N.q, me.at(F), q);
        for (int c = 0; c < 3; ++c) me.write(vector(N.layer[l + 1], c), scale2(kept.b, kept.w[c], mu1[c]));
    }
    return q;
}

// From the gradients of what leaves layer l, with those of b, `along`, to those of its messages; BOARD_1 has been
// used so many times before.
__device__ __forceinline__ void update_backward(int l, const Owner &me, const Four *weights, const Kept &kept,
                                                const Scattered<1, 3> &update2_back, float2 gq, float2 along,
                                                const float2 (&gmu)[3], int board_use) {
    const Layer &layer = N.layer[l];
    me.keep(OWN, 1, 0, 0, gq);
    me.keep(OWN, 1, 0, 1, along);
    me.keep(OWN, 1, 0, 2, gq * kept.dot);
    update2_back(OWN, RESULT_1);
    const Gathered<1, 2, F, F> update1_back(weights + UPDATE1_BACK / 4);
    float2 gk[1] = {};
    update2_back.collect(me, gk, RESULT_1, 0);
    me.tell(BOARD_1, gk[0] * silu_slope(kept.k));
    const float2 gc = gq * kept.c;
    const float2 inverse = make_float2(__fdividef(1.0f, kept.norm.x), __fdividef(1.0f, kept.norm.y));
    const Scattered<3, 2> mix_back(weights + MIX_BACK / 4);
    receive(BOARD_1, F, board_use);
    float2 inner[1][2] = {};
    update1_back(me, inner, BOARD_1);
    const float2 gn = inner[0][1] * inverse;
    for (int c = 0; c < 3; ++c) {
        me.keep(BOARD_0, 3, c, 0, scale2(gn, kept.v[c], gc * kept.w[c]));
        me.keep(BOARD_0, 3, c, 1, scale2(gmu[c], kept.b, gc * kept.v[c]));
    }
    mix_back(BOARD_0, RESULT_3);
    me.write(grad_q(l), gq + inner[0][0]);
    float2 g[3] = {};
    mix_back.collect(me, g, RESULT_3, 0);
    for (int c = 0; c < 3; ++c) me.write(grad_mu(l, c), g[c] + gmu[c]);
}

#define STAGE(name) \
    extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(FUSED_THREADS, FUSED_BLOCKS) name

#if PART == 0
// From the messages of layer l to the contexts of the next.
__device__ __forceinline__ void forward_stage(int l) {
    constexpr int CONTEXT1 = UPDATED, CONTEXT2 = CONTEXT1 + Gathered<1, 1, F, F>::SIZE;
    const Owner me;
    const Pack pack(N.layer[l].forward, UPDATE1, CONTEXT2 + Gathered<1, 3, F, F>::SIZE);
    Kept kept;
    const Layer &next = N.layer[l + 1];
    const float2 h_bias = me.owns ? ld2(next.context1_bias + me.ch) : make_float2(0, 0);
    update_forward(l, me, pack, kept);
    const Gathered<1, 1, F, F> context1(pack.weights + CONTEXT1 / 4);
    receive(BOARD_1, F, 1);
    float2 h[1][1] = {}, x_bias[3];
    const Gathered<1, 3, F, F> context2(pack.weights + CONTEXT2 / 4);
    for (int r = 0; r < 3; ++r) x_bias[r] = me.owns ? ld2(next.context2_bias + r * F + me.ch) : make_float2(0, 0);
    context1(me, h, BOARD_1);
    h[0][0] = h[0][0] + h_bias;
    me.tell(BOARD_0, silu(h[0][0]));
    me.write(next.h, me.at(F), h[0][0]);
    receive(BOARD_0, F, 1);
    float2 x[1][3] = {};
    context2(me, x, BOARD_0);
    for (int r = 0; r < 3; ++r) me.write(context(next, r), x[0][r] + x_bias[r]);
}

STAGE(atoms_forward)(int l) { forward_stage(l); }

#elif PART == 1
// From the messages of the last layer to their gradient.
__device__ __forceinline__ void turn_stage(int l) {
    constexpr int HEAD = UPDATED, HEAD_BACK = HEAD + Gathered<1, 1, F, HEAD_OUT>::SIZE;
    constexpr int BACK = HEAD_BACK + Gathered<1, 1, HEAD_OUT, F>::SIZE;
    const Owner me;
    const Pack pack(N.layer[l].forward, UPDATE1, BACK + UPDATED_BACK);
    const Head &head = N.head[0];
    Kept kept;
    update_forward(l, me, pack, kept);
    const Gathered<1, 1, F, HEAD_OUT> head_forward(pack.weights + HEAD / 4);
    const bool in_head = me.ch < HEAD_OUT && me.owns;
    const float2 zero = make_float2(0, 0);
    const float2 bias = in_head ? ld2(head.bias + me.ch) : zero, out = in_head ? ld2(N.head_out + me.ch) : zero;
    receive(BOARD_1, F, 1);
    float2 h[1][1] = {};
    const Gathered<1, 1, HEAD_OUT, F> head_back(pack.weights + HEAD_BACK / 4);
    head_forward(me, h, BOARD_1);
    h[0][0] = h[0][0] + bias;
    if (in_head) me.tell(BOARD_0, seed(out * silu_slope(h[0][0])));
    if (in_head) me.write(head.h, me.at(HEAD_OUT), h[0][0]);
    receive(BOARD_0, HEAD_OUT, 1);
    float2 gq[1][1] = {};
    const Scattered<1, 3> update2_back(pack.weights + (BACK + UPDATE2_BACK) / 4);
    head_back(me, gq, BOARD_0);
    const float2 none[3] = {zero, zero, zero};
    update_backward(l, me, pack.weights + BACK / 4, kept, update2_back, gq[0][0], zero, none, 2);
}

STAGE(atoms_turn)(int l) { turn_stage(l); }

#elif PART == 2
// From the gradient of the contexts of layer l + 1 to that of the messages of layer l.
__device__ __forceinline__ void backward_stage(int l) {
    constexpr int CONTEXT1_BACK = Gathered<1, 1, 3 * F, F>::SIZE, BACK = CONTEXT1_BACK + Gathered<1, 1, F, F>::SIZE;
    const Owner me;
    const Layer &layer = N.layer[l], &next = N.layer[l + 1];
    const Pack pack(layer.backward, CONTEXT1_BACK, BACK + UPDATED_BACK);
    const Gathered<1, 1, 3 * F, F> context2_back(pack.weights);
    // Written by the way forward, long done.
    const float2 h = me.read(next.h, me.at(F));
    Kept kept;
    for (int c = 0; c < 3; ++c) {
        kept.v[c] = me.read(layer.vw, me.at(c, 2 * F));
        kept.w[c] = me.read(layer.vw, me.at(c, 2 * F) + F);
    }
    kept.norm = me.live ? ld2(layer.norm + me.at(F)) : make_float2(1, 1);
    kept.dot = me.read(layer.dot, me.at(F));
    kept.k = me.read(layer.k, me.at(F));
    kept.b = me.read(layer.b, me.at(F));
    kept.c = me.read(layer.c, me.at(F));
    follow();
    float2 gh[1][1] = {};
    const float2 gq_in = me.read(grad_q(l + 1));
    float2 gmu[3];
    for (int c = 0; c < 3; ++c) gmu[c] = me.read(grad_mu(l, c));
    const Gathered<1, 1, F, F> context1_back(pack.weights + CONTEXT1_BACK / 4);
    pack.first_here();
    context2_back(me, gh, [&](int, int row, int k) { return row_of(context(next, k / F), row, k % F); });
    pack.others_here();
    me.tell(BOARD_0, gh[0][0] * silu_slope(h));
    float2 along = make_float2(0, 0);
    for (int c = 0; c < 3; ++c) along = scale2(gmu[c], kept.w[c], along);
    receive(BOARD_0, F, 0);
    float2 g[1][1] = {};
    const Scattered<1, 3> update2_back(pack.weights + (BACK + UPDATE2_BACK) / 4);
    context1_back(me, g, BOARD_0);
    update_backward(l, me, pack.weights + BACK / 4, kept, update2_back, gq_in + g[0][0], along, gmu, 0);
}

STAGE(atoms_backward)(int l) { backward_stage(l); }
#endif
#else
#if TILED
#define PRODUCT(name, Op)                                                                                              \
    extern "C" __global__ void __launch_bounds__(GEMM_THREADS, 2) name(int l) {                                        \
        Op op;                                                                                                         \
        op.l = l;                                                                                                      \
        tiled(op);                                                                                                     \
    }
#else
#define PRODUCT(name, Op)                                                                                              \
    extern "C" __global__ void __launch_bounds__(GEMM_THREADS) name(int l) {                                           \
        Op op;                                                                                                         \
        op.l = l;                                                                                                      \
        spread(op);                                                                                                    \
    }
#endif

PRODUCT(context1, Context1)
PRODUCT(context2, Context2)
PRODUCT(mix, Mix)
PRODUCT(update1, Update1)
PRODUCT(update2, Update2)
PRODUCT(update2_back, Update2Back)
PRODUCT(update1_back, Update1Back)
PRODUCT(mix_back, MixBack)
PRODUCT(context2_back, Context2Back)
PRODUCT(context1_back, Context1Back)
#if HEADS > 0
PRODUCT(head_forward, HeadForward)
PRODUCT(head_back, HeadBack)
#endif

// The gradient of a readout without hidden layers: the same for every atom.
extern "C" __global__ void head_linear() {
    follow();
    const size_t at = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at % 2 == 0 && at < size_t(E.atoms) * F) st2(grad_q(LAYERS - 1).at(at / F, at % F), seed(ld2(N.head_out + at % F)));
}
#endif
