// Where features and their gradients lie: an atom's numbers one component of F channels behind another. What messages gather
// in 16 bits lies two components together, four channels of each in turn, so that a thread reads 16 bytes: the context and
// the vectors that enter a layer, and the gradients of scalars and vectors that leave it.

// One component of every atom: where its channels are.
struct Spot {
    Stored *base;
    int stride, quad; // numbers of an atom, and from four channels to the next four
    __device__ __forceinline__ Stored *at(size_t atom, int ch) const {
        return base + atom * stride + ch / 4 * quad + ch % 4;
    }
};

// Component c of `count` for each atom.
__device__ __forceinline__ Spot spot(Stored *base, int count = 1, int c = 0) { return {base + c * F, count * F, 4}; }
// The same where two lie together.
__device__ __forceinline__ Spot paired(Stored *base, int count, int c) {
#if NARROW
    return {base + c / 2 * 2 * F + c % 2 * 4, count * F, 8};
#else
    return spot(base, count, c);
#endif
}

// Of layer l: group g of its context; component c of the vectors that enter it.
__device__ __forceinline__ Spot context(const Layer &layer, int g) { return paired(layer.x, NARROW ? 6 : 3, g); }
__device__ __forceinline__ Spot vector(const Layer &layer, int c) {
    return NARROW ? paired(layer.x, 6, 3 + c) : paired(layer.mu, 3, c);
}
// The gradients of the scalars and the vectors that leave the messages of layer l, and behind those messages enter them: the
// latter are read and written in turn.
__device__ __forceinline__ Stored *gradients(int l) { return N.grad_mu[(LAYERS - 1 - l) & 1]; }
__device__ __forceinline__ Spot grad_q(int l) { return NARROW ? paired(gradients(l), 4, 0) : spot(N.grad_q); }
__device__ __forceinline__ Spot grad_mu(int l, int c) {
    return NARROW ? paired(gradients(l), 4, 1 + c) : paired(gradients(l), 3, c);
}
// The context of the first layer, of an element; the third group is not needed.
__device__ __forceinline__ const Stored *first_context(u32 species, int ch) {
#if NARROW
    return N.first_context + size_t(species) * 2 * F + ch * 2;
#else
    return N.first_context + size_t(species) * 3 * F + ch;
#endif
}

// What gradients are multiples of on the way back, so that they are in the range of halves, and what takes it out again.
#if NARROW && !BFLOAT
__device__ __forceinline__ float seed(float x) { return x * N.gradient_scale; }
__device__ __forceinline__ float unseed(float x) { return x * N.gradient_unit; }
#else
__device__ __forceinline__ float seed(float x) { return x; }
__device__ __forceinline__ float unseed(float x) { return x; }
#endif
__device__ __forceinline__ float2 seed(float2 v) { return make_float2(seed(v.x), seed(v.y)); }
__device__ __forceinline__ float4 seed(float4 v) { return make_float4(seed(v.x), seed(v.y), seed(v.z), seed(v.w)); }
