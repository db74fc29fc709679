// What every kernel shares: the buffers, the state of the run, and how kernels follow each other.
//
// The host defines before this file: FEATURES (a multiple of 32), LAYERS, KNOTS, DEGREE, HEADS (hidden layers of
// the readout), HEAD_MAX (widest of them), and how the kernels are to be made, as `Shape` of `compile.rs` says; PART: which of
// the fused kernels this is. Structures mirror those of `buffers.rs` field by field.

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

constexpr int F = FEATURES;
constexpr int SLICE = 32;          // channels that one block of a message kernel works on
constexpr int SLICES = F / SLICE;
constexpr int WARP = 32;
constexpr u32 FULL = 0xffffffffu;

// One interaction. Weights: [outputs][inputs]; those that end in t: [inputs][outputs].
struct Layer {
    const float *context1, *context1_bias, *context2, *context2_bias;
    const float *mix, *update1, *update1_bias, *update2, *update2_bias;
    const float *context1_t, *context2_t, *mix_t, *update1_t, *update2_t;
    const float *table;            // [SLICES][KNOTS + DEGREE][3][SLICE]: B-spline coefficients of the filters
    float *mu;                     // [N][3][F]: vector features that enter the layer; none in the first
    float *x;                      // [N][3F]: context; backward its gradient
    float *h;                      // [N][F]: before the context's SiLU; backward its gradient
    float *vw;                     // [N][3][2F]: mixed vectors; backward their gradient
    float *norm, *dot;             // [N][F]: |v| and v.w
    float *k;                      // [N][F]: before the update's SiLU; backward its gradient
    float *b, *c;                  // [N][F]: what scales w, and what scales v.w
    const float *forward, *backward; // packs of the fused stages, see `stages.cu`
    float epsilon;
    float unused;
};

// A hidden layer of the readout; widths are padded with zeros to multiples of 32.
struct Head {
    const float *weight, *bias, *weight_t;
    float *h;                      // [N][outputs]: before SiLU; backward (but for the last) its gradient
    int inputs, outputs;
};

// Read by the host after every block.
struct State {
    u64 begun;                     // steps whose first part, up to the forces, was taken
    u64 done;                      // steps completed
    u64 until;                     // no step from this one on is begun
    u32 halt;                      // flags that stopped the run; nothing moves while they are set
    u32 pending;                   // flags raised since, not yet acted upon
    u32 ticket;                    // blocks of the present kernel that have finished
    u32 muted;                     // whether limits are ignored
    u32 pairs;                     // pairs in the list, as counted by the last build
    u32 reach;                     // bits of the largest squared displacement (float) since the build
    u64 drift_removed;             // steps completed when the drift was last removed
    u64 checked;                   // steps completed when the kinetic energy was last held to its limit
    double heat;                   // put in since the start of the run's present leg
};

constexpr u32 FLAG_SKIN = 1, FLAG_CAPACITY = 2, FLAG_NONFINITE = 4, FLAG_FORCE = 8, FLAG_CONTACT = 16, FLAG_KINETIC = 32;

// The cells that atoms are sorted into.
struct Grid {
    double origin[3];              // fractional coordinates of the corner
    double scale[3];               // cells per fractional unit
    int count[3], reach[3], bits[3];
    int cells;                     // length of the space-filling curve
};

// One operator: v += a F / m; r += a v; v = a v + sqrt((1 - a^2) b / m) xi.
struct Op {
    u32 kind, unused;
    double a, b;
};
constexpr u32 OP_KICK = 0, OP_DRIFT = 1; // and 2: noise
constexpr int MOST_OPS = 16;

struct Params {
    u32 atoms, list_capacity, cell_capacity, species_count;
    u32 seed, replica;
    u32 before, after;             // operators ahead of the forces, and behind
    Op ops[MOST_OPS];
    double cell[3][3], inverse[3][3];
    double height[3];
    u32 periodic[3], remove_drift;
    double cutoff, range;          // of the network; of the list: cutoff + skin
    double slack2;                 // (skin / 2)^2
    double force_limit2, contact_limit, kinetic_limit; // infinite or zero where there is none
    double total_mass, held_mass;  // the same where the centre of mass does not count as kinetic energy, else infinite
    u64 noise_start;               // steps of noise that were drawn before step 0
    State *state;
    Grid *grid;
    // Atoms by slot (the order along the space-filling curve).
    double *pos, *vel, *force;     // [N][3]
    double *heat, *mass;           // heat: of the present step, until it is summed
    double *built;                 // [N][3]: positions when the pairs were built
    u32 *species, *id, *slot;      // slot[id]
    // The list, rows by slot, each sorted by neighbour id, then image.
    u32 *rows, *col, *rev;
    i64 *image;
    u32 *draft_col;
    i64 *draft_image;
    u32 *row_count;
    // Pairs within the cutoff at this moment: row i starts at rows[i], in the order of the list.
    u32 *active;                   // [N]
    float4 *geometry;              // unit vector, distance
    uint2 *pair;                   // slot of the neighbour, place in the list
    u32 *opposite;                 // place in the list of the opposite pair
    float *push;                   // [list][SLICES][4]: per pair t and s of the backward pass
    // Scratch of a build.
    u32 *cell_of, *cell_start, *cell_fill, *cell_atoms;
    i64 *wrap;
    double *scratch;               // [N][11]
    double *sums;                  // momentum, then [blocks][OBSERVED]
    // The network.
    const float *embedding;        // [species][F]
    const float *first_context;    // [species][3F]
    float *q, *q1, *mu1;           // scalars entering a layer, scalars and vectors past the message
    float *grad_q, *grad_mu[2];
    const float *head_out;         // weights of the last, linear layer of the readout
    float knots_per_length;
    float weights_unit;            // what the packs of `strips.cu` are multiples of
    Layer layer[LAYERS];
    Head head[HEADS > 0 ? HEADS : 1];
};

__constant__ Params P;

// Waits until the kernel before this one is done, then lets the next one start its prologue. Whatever runs ahead of
// this may read what the kernel before the last, or an earlier one, has written: that one is done by then.
__device__ __forceinline__ void follow() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

__device__ __forceinline__ int lane_id() { return threadIdx.x & 31; }

// Lattice indices of an image, 21 bits each, so that the order of the packed numbers is lexicographic.
constexpr i64 IMAGE_BIAS = 1 << 20;
__device__ __forceinline__ i64 pack_image(int a, int b, int c) {
    return ((i64(a) + IMAGE_BIAS) << 42) | ((i64(b) + IMAGE_BIAS) << 21) | (i64(c) + IMAGE_BIAS);
}
__device__ __forceinline__ void unpack_image(i64 packed, int (&n)[3]) {
    const i64 mask = (1 << 21) - 1;
    n[0] = int((packed >> 42) & mask) - int(IMAGE_BIAS);
    n[1] = int((packed >> 21) & mask) - int(IMAGE_BIAS);
    n[2] = int(packed & mask) - int(IMAGE_BIAS);
}

// The translation of an image. Odd in n to the last bit, so that both directions of a pair agree.
__device__ __forceinline__ void translation(const int (&n)[3], double (&t)[3]) {
    for (int a = 0; a < 3; ++a) {
        t[a] = fma(double(n[0]), P.cell[0][a], fma(double(n[1]), P.cell[1][a], double(n[2]) * P.cell[2][a]));
    }
}

// Runs `last` in one thread, after all blocks of the kernel have come here.
template <class Act> __device__ __forceinline__ void when_all_done(Act last) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        if (atomicAdd(&P.state->ticket, 1u) == gridDim.x - 1) {
            P.state->ticket = 0;
            __threadfence();
            last(*reinterpret_cast<volatile State *>(P.state));
        }
    }
}

__device__ __forceinline__ float4 ld4(const float *p) { return *reinterpret_cast<const float4 *>(p); }
__device__ __forceinline__ float2 ld2(const float *p) { return *reinterpret_cast<const float2 *>(p); }
__device__ __forceinline__ void st2(float *p, float2 v) { *reinterpret_cast<float2 *>(p) = v; }
__device__ __forceinline__ float at(const float4 &v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

__device__ __forceinline__ float2 operator+(float2 a, float2 b) { return make_float2(a.x + b.x, a.y + b.y); }
__device__ __forceinline__ float2 operator*(float2 a, float2 b) { return make_float2(a.x * b.x, a.y * b.y); }
__device__ __forceinline__ float4 operator*(float4 a, float4 b) {
    return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w);
}
__device__ __forceinline__ float4 operator+(float4 a, float4 b) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}
__device__ __forceinline__ float4 scale4(float a, float4 b) { return make_float4(a * b.x, a * b.y, a * b.z, a * b.w); }
