// The atom-wise layers as kernels: one for each product, or, with few atoms, one for all products between two messages.
//
// FUSED: a cluster of blocks works on a strip of 16 atoms, each block on its share of the channels; products follow each
// other through memory with a barrier of the cluster between. Weights of the next product are fetched before the barrier.

#if FUSED
constexpr int CLUSTER = F / 16 < 8 ? F / 16 : 8;
constexpr int STRIPS = F / 8 / CLUSTER;               // of 8 channels, in one block
constexpr int K_PARTS = 4;                            // warps that share a strip
constexpr int FUSED_THREADS = STRIPS * K_PARTS * WARP;

__device__ __forceinline__ void cluster_barrier() {
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// A warp's place: its strip of channels, its part of K, its lane's row and quad.
struct Place {
    int strip, part, g, t;
    __device__ Place() {
        const int warp = threadIdx.x / WARP, lane = lane_id();
        strip = blockIdx.x * STRIPS + warp / K_PARTS;
        part = warp % K_PARTS;
        g = lane / 4;
        t = lane % 4;
    }
};

// The weights that a warp needs for a product.
template <class Op> struct Fragments {
    static constexpr int BLOCKS = (Op::K_MAX / 16 + K_PARTS - 1) / K_PARTS;
    float4 b[BLOCKS][Op::NG];
    __device__ void fetch(const Op &op) {
        const Place place;
        const int K = op.inputs(), N = op.outputs();
#pragma unroll
        for (int i = 0; i < BLOCKS; ++i) {
            const int k = (i * K_PARTS + place.part) * 16 + 4 * place.t;
#pragma unroll
            for (int r = 0; r < Op::NG; ++r) {
                const bool inside = k < K && place.strip * 8 < N;
                b[i][r] = inside ? ld4(op.weight() + size_t(r * N + place.strip * 8 + place.g) * K + k) : make_float4(0, 0, 0, 0);
            }
        }
    }
};

constexpr int MOST_TILES = 6;
typedef float Parts[K_PARTS][MOST_TILES][STRIPS][16][8];

template <class Op> __device__ __forceinline__ void multiply(const Op &op, const Fragments<Op> &weights, Parts &parts) {
    constexpr int NC = Op::NC, NG = Op::NG;
    const Place place;
    const int K = op.inputs(), atoms = int(P.atoms), a0 = blockIdx.y * 16;
    float acc[NC][NG][4] = {};
#pragma unroll
    for (int i = 0; i < Fragments<Op>::BLOCKS; ++i) {
        const int k = (i * K_PARTS + place.part) * 16 + 4 * place.t;
        if (k >= K || place.strip * 8 >= op.outputs()) break;
        float4 upper[NC], lower[NC];
#pragma unroll
        for (int c = 0; c < NC; ++c) {
            upper[c] = a0 + place.g < atoms ? op.load(a0 + place.g, c, k) : make_float4(0, 0, 0, 0);
            lower[c] = a0 + place.g + 8 < atoms ? op.load(a0 + place.g + 8, c, k) : make_float4(0, 0, 0, 0);
        }
        mma16<NC, NG>(acc, upper, lower, weights.b[i]);
    }
    const int strip = place.strip % STRIPS;
#pragma unroll
    for (int c = 0; c < NC; ++c) {
#pragma unroll
        for (int r = 0; r < NG; ++r) {
            st2(&parts[place.part][c * NG + r][strip][place.g][2 * place.t], make_float2(acc[c][r][0], acc[c][r][1]));
            st2(&parts[place.part][c * NG + r][strip][place.g + 8][2 * place.t], make_float2(acc[c][r][2], acc[c][r][3]));
        }
    }
    __syncthreads();
}

template <class Op> __device__ __forceinline__ void settle(const Op &op, Parts &parts) {
    constexpr int NC = Op::NC, NG = Op::NG;
    const int pair = threadIdx.x % 4 * 2, row = threadIdx.x / 4 % 16, strip = threadIdx.x / 64;
    const int atom = blockIdx.y * 16 + row, ch = (blockIdx.x * STRIPS + strip) * 8 + pair;
    if (strip >= STRIPS || atom >= int(P.atoms) || ch >= op.outputs()) return;
    float2 out[NC][NG];
#pragma unroll
    for (int c = 0; c < NC; ++c) {
#pragma unroll
        for (int r = 0; r < NG; ++r) {
            float2 sum = ld2(&parts[0][c * NG + r][strip][row][pair]);
#pragma unroll
            for (int w = 1; w < K_PARTS; ++w) sum = sum + ld2(&parts[w][c * NG + r][strip][row][pair]);
            out[c][r] = sum;
        }
    }
    op.store(atom, ch, out);
}

template <class Op> __device__ __forceinline__ void chain(Parts &parts, const Fragments<Op> &weights, const Op &op) {
    multiply(op, weights, parts);
    settle(op, parts);
}
template <class Op, class Next, class... More>
__device__ __forceinline__ void chain(Parts &parts, const Fragments<Op> &weights, const Op &op, const Next &next, const More &...more) {
    multiply(op, weights, parts);
    Fragments<Next> ahead;
    ahead.fetch(next);
    settle(op, parts);
    cluster_barrier();
    chain(parts, ahead, next, more...);
}

template <class First, class... More> __device__ __forceinline__ void stage(const First &first, const More &...more) {
    __shared__ Parts parts;
    Fragments<First> weights;
    weights.fetch(first);
    follow();
    chain(parts, weights, first, more...);
}

template <class Op> __device__ __forceinline__ Op of_layer(int l) {
    Op op;
    op.l = l;
    return op;
}

#define STAGE(name) extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(FUSED_THREADS) name

// From the messages of layer l to the contexts of the next.
STAGE(atoms_forward)(int l) {
    stage(of_layer<Mix>(l), of_layer<Update1>(l), of_layer<Update2>(l), of_layer<Context1>(l + 1), of_layer<Context2>(l + 1));
}

// From the messages of the last layer to their gradient.
STAGE(atoms_turn)(int l) {
    stage(of_layer<Mix>(l), of_layer<Update1>(l), of_layer<Update2>(l), of_layer<HeadForward>(0), of_layer<HeadBack>(0),
          of_layer<Update2Back>(l), of_layer<Update1Back>(l), of_layer<MixBack>(l));
}

// From the gradient of the contexts of layer l + 1 to that of the messages of layer l.
STAGE(atoms_backward)(int l) {
    stage(of_layer<Context2Back>(l + 1), of_layer<Context1Back>(l + 1), of_layer<Update2Back>(l), of_layer<Update1Back>(l),
          of_layer<MixBack>(l));
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
