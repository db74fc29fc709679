// The atom-wise layers as kernels: one for each product, or, with few atoms, one for all products between two messages.
//
// FUSED: a cluster of blocks works on a strip of 16 atoms, each block on its share of the channels. What the next product
// needs of all channels, blocks write into each other's shared memory; the rest stays in registers of the thread that
// settles the same row and channels of every product. Weights of the next product are fetched before the barrier.

#if FUSED
constexpr int CLUSTER = F / 16 < 8 ? F / 16 : 8;
constexpr int STRIPS = F / 8 / CLUSTER;               // of 8 channels, in one block
constexpr int K_PARTS = 4;                            // warps that share a strip
constexpr int FUSED_THREADS = STRIPS * K_PARTS * WARP;
constexpr int ROWS = 16;
constexpr int MOST_TILES = 6;
constexpr int PAD = 16;                               // floats behind a row, so that two rows lie in different banks

// Two boards that the blocks of a cluster write for each other in turn, and the parts of a product.
constexpr int BOARD_0 = 0, BOARD_1 = 3 * ROWS * (2 * F + PAD);
constexpr int PARTS = BOARD_1 + ROWS * (F + PAD);
// and K_PARTS * MOST_TILES * STRIPS * ROWS * 8 floats of parts: `launch.rs` asks for as much.
extern __shared__ float4 fused_memory[];
__device__ __forceinline__ float *board(int at) { return reinterpret_cast<float *>(fused_memory) + at; }


// What a board waits for: a barrier in shared memory that counts the bytes which arrive on it. A board is written
// again only by blocks that have all of the other board's next contents, which are sent by blocks that have read
// this one: so two boards, used in turn, need no other order.
__device__ u64 *board_barrier(int which) {
    __shared__ u64 barriers[2];
    return barriers + (which == BOARD_0 ? 0 : 1);
}
__device__ __forceinline__ u32 shared_address(const void *p) { return u32(__cvta_generic_to_shared(p)); }

// First in a stage: barriers exist in all blocks of the cluster before anything is sent.
__device__ __forceinline__ void open_boards() {
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(board_barrier(BOARD_0))) : "memory");
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(board_barrier(BOARD_1))) : "memory");
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// Waits until all of `numbers` floats for each of the 16 rows have come to a board. Boards are used in turn, so that
// the parity of a use is known: `use` counts those of this board.
__device__ __forceinline__ void receive(int which, int numbers, int use) {
    const u32 barrier = shared_address(board_barrier(which));
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(numbers * ROWS * 4) : "memory");
    }
    asm volatile(
        "{\n.reg .pred done;\nagain_%=:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra again_%=;\n}"
        ::"r"(barrier), "r"(use & 1) : "memory");
}

// Writes two numbers to the same place in all blocks of the cluster.
__device__ __forceinline__ void send(int which, float *to, float2 v) {
    const u32 here = shared_address(to), barrier = shared_address(board_barrier(which));
#pragma unroll
    for (int rank = 0; rank < CLUSTER; ++rank) {
        u32 there, counted;
        asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(here), "r"(rank));
        asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(counted) : "r"(barrier), "r"(rank));
        asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [%0], {%1, %2}, [%3];" ::"r"(there), "f"(v.x),
                     "f"(v.y), "r"(counted)
                     : "memory");
    }
}

// The thread that settles a row and a pair of channels of every product.
struct Owner {
    int row, ch, atom;
    bool owns, live;
    __device__ Owner() {
        const int strip = threadIdx.x / 64;
        row = threadIdx.x / 4 % ROWS;
        ch = (blockIdx.x * STRIPS + strip) * 8 + threadIdx.x % 4 * 2;
        atom = blockIdx.y * ROWS + row;
        owns = strip < STRIPS;
        live = owns && atom < int(P.atoms);
    }
    __device__ size_t at(int width) const { return size_t(atom) * width + ch; }
    __device__ size_t at(int c, int width) const { return (size_t(atom) * 3 + c) * width + ch; }
    __device__ float2 read(const float *from, size_t at) const { return live ? ld2(from + at) : make_float2(0, 0); }
    __device__ void write(float *to, size_t at, float2 v) const {
        if (live) st2(to + at, v);
    }
    // To a board of rows of so many numbers.
    __device__ void tell(int which, int width, int k, float2 v) const {
        if (owns) send(which, board(which) + row * (width + PAD) + k + ch, v);
    }
    __device__ void tell(int which, int c, int width, int k, float2 v) const {
        if (owns) send(which, board(which) + (c * ROWS + row) * (width + PAD) + k + ch, v);
    }
};

__device__ __forceinline__ float2 scale2(float2 a, float2 b, float2 c) { return make_float2(fmaf(a.x, b.x, c.x), fmaf(a.y, b.y, c.y)); }
__device__ __forceinline__ float2 silu(float2 v) { return make_float2(silu(v.x), silu(v.y)); }

// A product of 16 rows (of NC components each) with NG groups of N columns; the warp's weights are fetched ahead.
template <int NC, int NG, int K, int N> struct Product {
    static constexpr int BLOCKS = (K / 16 + K_PARTS - 1) / K_PARTS;
    float4 b[BLOCKS][NG];

    __device__ int k_of(int i) const { return (i * K_PARTS + threadIdx.x / WARP % K_PARTS) * 16 + lane_id() % 4 * 4; }
    __device__ bool idle(int i) const { return (K % (16 * K_PARTS) && k_of(i) >= K) || (N < F && column() >= N); }
    __device__ int column() const { return (blockIdx.x * STRIPS + threadIdx.x / WARP / K_PARTS) * 8; }

    __device__ Product(const float *weight) {
#pragma unroll
        for (int i = 0; i < BLOCKS; ++i) {
#pragma unroll
            for (int r = 0; r < NG; ++r) {
                const float *from = weight + size_t(r * N + column() + lane_id() / 4) * K + k_of(i);
                b[i][r] = idle(i) ? make_float4(0, 0, 0, 0) : ld4(from);
            }
        }
    }

    // The sums of an owner's row and channels; `load(c, row, k)` gives four numbers of a row.
    template <class Load> __device__ void operator()(float2 (&out)[NC][NG], Load load) const {
        const int warp = threadIdx.x / WARP, strip = warp / K_PARTS, g = lane_id() / 4, t = lane_id() % 4;
        constexpr int SETS = sets_for(NC * NG);
        float acc[SETS][NC][NG][4] = {};
#pragma unroll
        for (int i = 0; i < BLOCKS; ++i) {
            if (idle(i)) continue;
            float4 upper[NC], lower[NC];
#pragma unroll
            for (int c = 0; c < NC; ++c) {
                upper[c] = load(c, g, k_of(i));
                lower[c] = load(c, g + 8, k_of(i));
            }
            mma16<SETS, NC, NG>(acc, upper, lower, b[i]);
        }
        __syncthreads(); // the owners have read the parts of the product before
        float *parts = board(PARTS);
        auto place = [&](int part, int tile, int s, int row) { return parts + (((part * MOST_TILES + tile) * STRIPS + s) * ROWS + row) * 8; };
#pragma unroll
        for (int c = 0; c < NC; ++c) {
#pragma unroll
            for (int r = 0; r < NG; ++r) {
                st2(place(warp % K_PARTS, c * NG + r, strip, g) + 2 * t, make_float2(total(acc, c, r, 0), total(acc, c, r, 1)));
                st2(place(warp % K_PARTS, c * NG + r, strip, g + 8) + 2 * t, make_float2(total(acc, c, r, 2), total(acc, c, r, 3)));
            }
        }
        __syncthreads();
        const int s = min(threadIdx.x / 64, STRIPS - 1), row = threadIdx.x / 4 % ROWS, pair = threadIdx.x % 4 * 2;
#pragma unroll
        for (int c = 0; c < NC; ++c) {
#pragma unroll
            for (int r = 0; r < NG; ++r) {
                out[c][r] = ld2(place(0, c * NG + r, s, row) + pair);
#pragma unroll
                for (int w = 1; w < K_PARTS; ++w) out[c][r] = out[c][r] + ld2(place(w, c * NG + r, s, row) + pair);
            }
        }
    }

    // The same from a board.
    __device__ void operator()(float2 (&out)[NC][NG], int which) const {
        (*this)(out, [&](int c, int row, int k) { return ld4(board(which) + (c * ROWS + row) * (K + PAD) + k); });
    }
};

// A row of an array of [N][3][width] or [N][width] floats.
__device__ __forceinline__ float4 row_of(const float *from, int components, int c, int row, int width, int k) {
    const int atom = blockIdx.y * ROWS + row;
    return atom < int(P.atoms) ? ld4(from + (size_t(atom) * components + c) * width + k) : make_float4(0, 0, 0, 0);
}

// What an owner keeps of a layer from its update to the way back.
struct Kept {
    float2 v[3], w[3], norm, dot, k, b, c;
};

// From the messages of layer l to the scalars q behind it, told on BOARD_0.
__device__ __forceinline__ float2 update_forward(int l, const Owner &me, Kept &kept) {
    const Layer &layer = P.layer[l];
    const bool last = l == LAYERS - 1;
    const Product<3, 2, F, F> mix(layer.mix);
    const float2 zero = make_float2(0, 0), epsilon = make_float2(layer.epsilon, layer.epsilon);
    const float2 k_bias = me.owns ? ld2(layer.update1_bias + me.ch) : zero;
    float2 bias[3];
    for (int r = 0; r < 3; ++r) bias[r] = me.owns ? ld2(layer.update2_bias + r * F + me.ch) : zero;
    follow();
    const float2 q1 = me.read(P.q1, me.at(F));
    float2 mu1[3];
    for (int c = 0; c < 3; ++c) mu1[c] = last ? zero : me.read(P.mu1, me.at(c, F));
    float2 mixed[3][2];
    const Product<1, 1, 2 * F, F> update1(layer.update1);
    mix(mixed, [](int c, int row, int k) { return row_of(P.mu1, 3, c, row, F, k); });
    float2 square = epsilon;
    kept.dot = zero;
    for (int c = 0; c < 3; ++c) {
        kept.v[c] = mixed[c][0];
        kept.w[c] = mixed[c][1];
        square = scale2(kept.v[c], kept.v[c], square);
        kept.dot = scale2(kept.v[c], kept.w[c], kept.dot);
    }
    kept.norm = make_float2(sqrtf(square.x), sqrtf(square.y));
    me.tell(BOARD_0, 2 * F, 0, q1);
    me.tell(BOARD_0, 2 * F, F, kept.norm);
    if (!last) {
        for (int c = 0; c < 3; ++c) {
            me.write(layer.vw, me.at(c, 2 * F), kept.v[c]);
            me.write(layer.vw, me.at(c, 2 * F) + F, kept.w[c]);
        }
        me.write(layer.norm, me.at(F), kept.norm);
        me.write(layer.dot, me.at(F), kept.dot);
    }
    receive(BOARD_0, 2 * F, 0);
    float2 k[1][1];
    const Product<1, 3, F, F> update2(layer.update2);
    update1(k, BOARD_0);
    kept.k = k[0][0] + k_bias;
    me.tell(BOARD_1, F, 0, silu(kept.k));
    if (!last) me.write(layer.k, me.at(F), kept.k);
    receive(BOARD_1, F, 0);
    float2 abc[1][3];
    update2(abc, BOARD_1);
    kept.b = abc[0][1] + bias[1];
    kept.c = abc[0][2] + bias[2];
    const float2 q = scale2(kept.c, kept.dot, q1 + abc[0][0] + bias[0]);
    me.tell(BOARD_0, F, 0, q);
    if (!last) {
        me.write(layer.b, me.at(F), kept.b);
        me.write(layer.c, me.at(F), kept.c);
        me.write(P.q, me.at(F), q);
        for (int c = 0; c < 3; ++c) me.write(P.layer[l + 1].mu, me.at(c, F), scale2(kept.b, kept.w[c], mu1[c]));
    }
    return q;
}

// From the gradients of what leaves layer l, that of the scalars told on BOARD_0 as [g, sum of g_mu w, g v.w], to those
// of its messages. `use` counts the uses of BOARD_0 before.
__device__ __forceinline__ void update_backward(int l, const Owner &me, const Kept &kept, float2 gq, const float2 (&gmu)[3],
                                                int use) {
    const Layer &layer = P.layer[l];
    const Product<1, 1, 3 * F, F> update2_back(layer.update2_t);
    receive(BOARD_0, 3 * F, use);
    float2 gk[1][1];
    const Product<1, 2, F, F> update1_back(layer.update1_t);
    update2_back(gk, BOARD_0);
    me.tell(BOARD_1, F, 0, gk[0][0] * silu_slope(kept.k));
    receive(BOARD_1, F, use == 0 ? 1 : 2);
    float2 inner[1][2];
    const Product<3, 1, 2 * F, F> mix_back(layer.mix_t);
    update1_back(inner, BOARD_1);
    const float2 gc = gq * kept.c;
    const float2 gn = make_float2(__fdividef(inner[0][1].x, kept.norm.x), __fdividef(inner[0][1].y, kept.norm.y));
    for (int c = 0; c < 3; ++c) {
        me.tell(BOARD_0, c, 2 * F, 0, scale2(gn, kept.v[c], gc * kept.w[c]));
        me.tell(BOARD_0, c, 2 * F, F, scale2(gmu[c], kept.b, gc * kept.v[c]));
    }
    me.write(P.grad_q, me.at(F), gq + inner[0][0]);
    receive(BOARD_0, 6 * F, use + 1);
    float2 g[3][1];
    mix_back(g, BOARD_0);
    float *grad_mu = P.grad_mu[(LAYERS - 1 - l) & 1];
    for (int c = 0; c < 3; ++c) me.write(grad_mu, me.at(c, F), g[c][0] + gmu[c]);
}

#define STAGE(name) extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(FUSED_THREADS, 1) name

// From the messages of layer l to the contexts of the next.
STAGE(atoms_forward)(int l) {
    const Owner me;
    open_boards();
    Kept kept;
    const Layer &next = P.layer[l + 1];
    const float2 h_bias = me.owns ? ld2(next.context1_bias + me.ch) : make_float2(0, 0);
    update_forward(l, me, kept);
    const Product<1, 1, F, F> context1(next.context1);
    receive(BOARD_0, F, 1);
    float2 h[1][1], x_bias[3];
    const Product<1, 3, F, F> context2(next.context2);
    for (int r = 0; r < 3; ++r) x_bias[r] = me.owns ? ld2(next.context2_bias + r * F + me.ch) : make_float2(0, 0);
    context1(h, BOARD_0);
    h[0][0] = h[0][0] + h_bias;
    me.tell(BOARD_1, F, 0, silu(h[0][0]));
    me.write(next.h, me.at(F), h[0][0]);
    receive(BOARD_1, F, 1);
    float2 x[1][3];
    context2(x, BOARD_1);
    for (int r = 0; r < 3; ++r) me.write(next.x, me.at(3 * F) + r * F, x[0][r] + x_bias[r]);
}

// From the messages of the last layer to their gradient.
STAGE(atoms_turn)(int l) {
    const Owner me;
    open_boards();
    const Head &head = P.head[0];
    Kept kept;
    update_forward(l, me, kept);
    const Product<1, 1, F, HEAD_OUT> head_forward(head.weight);
    const bool in_head = me.ch < HEAD_OUT && me.owns;
    const float2 zero = make_float2(0, 0);
    const float2 bias = in_head ? ld2(head.bias + me.ch) : zero, out = in_head ? ld2(P.head_out + me.ch) : zero;
    receive(BOARD_0, F, 1);
    float2 h[1][1];
    const Product<1, 1, HEAD_OUT, F> head_back(head.weight_t);
    head_forward(h, BOARD_0);
    h[0][0] = h[0][0] + bias;
    if (in_head) me.tell(BOARD_1, HEAD_OUT, 0, out * silu_slope(h[0][0]));
    if (in_head) me.write(head.h, me.at(HEAD_OUT), h[0][0]);
    receive(BOARD_1, HEAD_OUT, 1);
    float2 gq[1][1];
    head_back(gq, BOARD_1);
    me.tell(BOARD_0, 3 * F, 0, gq[0][0]);
    me.tell(BOARD_0, 3 * F, F, zero);
    me.tell(BOARD_0, 3 * F, 2 * F, gq[0][0] * kept.dot);
    const float2 none[3] = {zero, zero, zero};
    update_backward(l, me, kept, gq[0][0], none, 2);
}

// From the gradient of the contexts of layer l + 1 to that of the messages of layer l.
STAGE(atoms_backward)(int l) {
    const Owner me;
    open_boards();
    const Layer &layer = P.layer[l], &next = P.layer[l + 1];
    const Product<1, 1, 3 * F, F> context2_back(next.context2_t);
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
    float2 gh[1][1];
    const float2 gq_in = me.read(P.grad_q, me.at(F));
    float2 gmu[3];
    for (int c = 0; c < 3; ++c) gmu[c] = me.read(P.grad_mu[(LAYERS - 1 - l) & 1], me.at(c, F));
    const Product<1, 1, F, F> context1_back(next.context1_t);
    context2_back(gh, [&](int, int row, int k) { return row_of(next.x, 1, 0, row, 3 * F, k); });
    me.tell(BOARD_1, F, 0, gh[0][0] * silu_slope(h));
    receive(BOARD_1, F, 0);
    float2 g[1][1];
    context1_back(g, BOARD_1);
    const float2 gq = gq_in + g[0][0];
    float2 along = make_float2(0, 0);
    for (int c = 0; c < 3; ++c) along = scale2(gmu[c], kept.w[c], along);
    me.tell(BOARD_0, 3 * F, 0, gq);
    me.tell(BOARD_0, 3 * F, F, along);
    me.tell(BOARD_0, 3 * F, 2 * F, gq * kept.dot);
    update_backward(l, me, kept, gq, gmu, 0);
}
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
    if (at < size_t(P.atoms) * F) P.grad_q[at] = P.head_out[at % F];
}
#endif
