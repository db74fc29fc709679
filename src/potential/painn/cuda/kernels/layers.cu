// The atom-wise layers of PaiNN, forward and backward, as operands and results of the matrix products.
//
// Forward, layer l:   x = W2 silu(W1 q + b1) + b2                                     context1, context2
//   (message kernel)  q1, mu1
//                     (v, w) = Wmix mu1 ; n = sqrt(|v|^2 + eps)                       mix
//                     (a, b, c) = V2 silu(V1 [q1, n] + c1) + c2                       update1, update2
//                     q = q1 + a + c (v.w) ; mu = mu1 + b w
// Backward: the transposes in the opposite order; a gradient replaces what it is the gradient of.

__device__ __forceinline__ float sigmoid(float x) { return __fdividef(1.0f, 1.0f + __expf(-x)); }
__device__ __forceinline__ float silu(float x) { return x * sigmoid(x); }
__device__ __forceinline__ float silu_slope(float x) {
    const float s = sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}
__device__ __forceinline__ float4 silu(float4 v) { return make_float4(silu(v.x), silu(v.y), silu(v.z), silu(v.w)); }
__device__ __forceinline__ float2 silu_slope(float2 v) { return make_float2(silu_slope(v.x), silu_slope(v.y)); }
__device__ __forceinline__ size_t cell_of(int atom, int width) { return size_t(atom) * width; }

#if FUSED || BY_STRIPS
__device__ __forceinline__ u32 shared_address(const void *p) { return u32(__cvta_generic_to_shared(p)); }
// Waits for a barrier in shared memory.
__device__ __forceinline__ void await(u32 barrier, int parity) {
    asm volatile(
        "{\n.reg .pred done;\nagain_%=:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra again_%=;\n}"
        ::"r"(barrier), "r"(parity) : "memory");
}
#endif

// What the kernel itself does not write: with tiles such loads need not wait for stores (fused stages do write it).
#if NARROW
__device__ __forceinline__ float2 fixed2(const Stored *p) { return ld2(p); }
#endif
__device__ __forceinline__ float2 fixed2(const float *p) {
#if TILED
    float2 v;
    asm volatile("ld.global.nc.v2.f32 {%0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "l"(p));
    return v;
#else
    return ld2(p);
#endif
}

// A product of one row and so many groups of columns for each atom.
template <int COMPONENTS, int GROUPS, int INPUTS, int OUTPUTS> struct Shape {
    static constexpr int NC = COMPONENTS, NG = GROUPS, K_MAX = INPUTS;
    static constexpr bool WIDE = true;
    int l;
    __device__ int inputs() const { return INPUTS; }
    __device__ int outputs() const { return OUTPUTS; }
    __device__ const Layer &layer() const { return N.layer[l]; }
    __device__ bool last() const { return l == LAYERS - 1; }
};

struct Context1 : Shape<1, 1, F, F> {
    __device__ const float *weight() const { return layer().context1; }
    __device__ float4 load(int atom, int, int k) const { return ld4(N.q + cell_of(atom, F) + k); }
    __device__ void store(int atom, int ch, float2 (&out)[1][1]) const {
        st2(layer().h + cell_of(atom, F) + ch, out[0][0] + ld2(layer().context1_bias + ch));
    }
};

struct Context2 : Shape<1, 3, F, F> {
    __device__ const float *weight() const { return layer().context2; }
    __device__ float4 load(int atom, int, int k) const { return silu(ld4(layer().h + cell_of(atom, F) + k)); }
    __device__ void store(int atom, int ch, float2 (&out)[1][3]) const {
#pragma unroll
        for (int g = 0; g < 3; ++g) {
            st2(context(layer(), g).at(atom, ch), out[0][g] + ld2(layer().context2_bias + g * F + ch));
        }
    }
};

struct Mix : Shape<3, 2, F, F> {
    __device__ const float *weight() const { return layer().mix; }
    __device__ float4 load(int atom, int c, int k) const { return ld4(N.mu1 + cell_of(atom * 3 + c, F) + k); }
    __device__ void store(int atom, int ch, float2 (&out)[3][2]) const {
        float2 square = make_float2(layer().epsilon, layer().epsilon), dot = make_float2(0, 0);
#pragma unroll
        for (int c = 0; c < 3; ++c) {
            Stored *to = layer().vw + cell_of(atom * 3 + c, 2 * F) + ch;
            st2(to, out[c][0]);
            st2(to + F, out[c][1]);
            square = square + out[c][0] * out[c][0];
            dot = dot + out[c][0] * out[c][1];
        }
        st2(layer().norm + cell_of(atom, F) + ch, make_float2(sqrtf(square.x), sqrtf(square.y)));
        st2(layer().dot + cell_of(atom, F) + ch, dot);
    }
};

struct Update1 : Shape<1, 1, 2 * F, F> {
    __device__ const float *weight() const { return layer().update1; }
    __device__ float4 load(int atom, int, int k) const {
        return ld4(k < F ? N.q1 + cell_of(atom, F) + k : layer().norm + cell_of(atom, F) + k - F);
    }
    __device__ void store(int atom, int ch, float2 (&out)[1][1]) const {
        st2(layer().k + cell_of(atom, F) + ch, out[0][0] + ld2(layer().update1_bias + ch));
    }
};

struct Update2 : Shape<1, 3, F, F> {
    __device__ const float *weight() const { return layer().update2; }
    __device__ float4 load(int atom, int, int k) const { return silu(ld4(layer().k + cell_of(atom, F) + k)); }
    __device__ void store(int atom, int ch, float2 (&out)[1][3]) const {
        const size_t at = cell_of(atom, F) + ch;
        const float2 a = out[0][0] + fixed2(layer().update2_bias + ch),
                     b = out[0][1] + fixed2(layer().update2_bias + F + ch);
        const float2 c = out[0][2] + fixed2(layer().update2_bias + 2 * F + ch);
        st2(N.q + at, fixed2(N.q1 + at) + a + c * fixed2(layer().dot + at));
        st2(layer().c + at, c);
        if (last()) return; // the readout sees scalars only
        st2(layer().b + at, b);
#pragma unroll
        for (int i = 0; i < 3; ++i) {
            const float2 w = fixed2(layer().vw + cell_of(atom * 3 + i, 2 * F) + F + ch);
            st2(vector(N.layer[l + 1], i).at(atom, ch), fixed2(N.mu1 + cell_of(atom * 3 + i, F) + ch) + b * w);
        }
    }
};

struct Update2Back : Shape<1, 1, 3 * F, F> {
    __device__ const float *weight() const { return layer().update2_t; }
    __device__ float4 load(int atom, int, int k) const {
        const size_t at = cell_of(atom, F) + k % F;
        if (k < F) return ld4(grad_q(l).at(atom, k));
        if (k >= 2 * F) return ld4(grad_q(l).at(atom, k % F)) * ld4(layer().dot + at);
        float4 sum = make_float4(0, 0, 0, 0);
        if (last()) return sum;
        for (int i = 0; i < 3; ++i) {
            sum = sum + ld4(grad_mu(l, i).at(atom, k - F)) * ld4(layer().vw + cell_of(atom * 3 + i, 2 * F) + k);
        }
        return sum;
    }
    __device__ void store(int atom, int ch, float2 (&out)[1][1]) const {
        Stored *k = layer().k + cell_of(atom, F) + ch;
        st2(k, out[0][0] * silu_slope(ld2(k)));
    }
};

struct Update1Back : Shape<1, 2, F, F> {
    __device__ const float *weight() const { return layer().update1_t; }
    __device__ float4 load(int atom, int, int k) const { return ld4(layer().k + cell_of(atom, F) + k); }
    __device__ void store(int atom, int ch, float2 (&out)[1][2]) const {
        const size_t at = cell_of(atom, F) + ch;
        const float2 gq = ld2(grad_q(l).at(atom, ch)), gc = gq * fixed2(layer().c + at), n = fixed2(layer().norm + at);
        const float2 gn = make_float2(__fdividef(out[0][1].x, n.x), __fdividef(out[0][1].y, n.y));
        for (int i = 0; i < 3; ++i) {
            Stored *vw = layer().vw + cell_of(atom * 3 + i, 2 * F) + ch;
            const float2 v = ld2(vw), w = ld2(vw + F);
            st2(vw, gc * w + gn * v);
            float2 gw = gc * v;
            if (!last()) gw = gw + fixed2(grad_mu(l, i).at(atom, ch)) * fixed2(layer().b + at);
            st2(vw + F, gw);
        }
        st2(grad_q(l).at(atom, ch), gq + out[0][0]);
    }
};

struct MixBack : Shape<3, 1, 2 * F, F> {
    __device__ const float *weight() const { return layer().mix_t; }
    __device__ float4 load(int atom, int c, int k) const { return ld4(layer().vw + cell_of(atom * 3 + c, 2 * F) + k); }
    __device__ void store(int atom, int ch, float2 (&out)[3][1]) const {
        for (int c = 0; c < 3; ++c) {
            Stored *g = grad_mu(l, c).at(atom, ch);
            st2(g, last() ? out[c][0] : out[c][0] + ld2(g));
        }
    }
};

struct Context2Back : Shape<1, 1, 3 * F, F> {
    __device__ const float *weight() const { return layer().context2_t; }
    __device__ float4 load(int atom, int, int k) const { return ld4(context(layer(), k / F).at(atom, k % F)); }
    __device__ void store(int atom, int ch, float2 (&out)[1][1]) const {
        Stored *h = layer().h + cell_of(atom, F) + ch;
        st2(h, out[0][0] * silu_slope(ld2(h)));
    }
};

struct Context1Back : Shape<1, 1, F, F> {
    __device__ const float *weight() const { return layer().context1_t; }
    __device__ float4 load(int atom, int, int k) const { return ld4(layer().h + cell_of(atom, F) + k); }
    __device__ void store(int atom, int ch, float2 (&out)[1][1]) const {
        st2(grad_q(l - 1).at(atom, ch), out[0][0] + ld2(grad_q(l).at(atom, ch)));
    }
};

// Hidden layer `l` of the readout.
struct HeadForward {
    static constexpr int NC = 1, NG = 1, K_MAX = HEAD_MAX;
    static constexpr bool WIDE = false;
    int l;
    __device__ const Head &head() const { return N.head[l]; }
    __device__ int inputs() const { return head().inputs; }
    __device__ int outputs() const { return head().outputs; }
    __device__ const float *weight() const { return head().weight; }
    __device__ float4 load(int atom, int, int k) const {
        if (l == 0) return ld4(N.q + cell_of(atom, F) + k);
        return silu(ld4(N.head[l - 1].h + cell_of(atom, head().inputs) + k));
    }
    __device__ void store(int atom, int ch, float2 (&out)[1][1]) const {
        st2(head().h + cell_of(atom, head().outputs) + ch, out[0][0] + ld2(head().bias + ch));
    }
};

struct HeadBack {
    static constexpr int NC = 1, NG = 1, K_MAX = HEAD_MAX;
    static constexpr bool WIDE = false;
    int l;
    __device__ const Head &head() const { return N.head[l]; }
    __device__ int inputs() const { return head().outputs; }
    __device__ int outputs() const { return head().inputs; }
    __device__ const float *weight() const { return head().weight_t; }
    __device__ float4 load(int atom, int, int k) const {
        const float4 h = ld4(head().h + cell_of(atom, head().outputs) + k);
        if (l < HEADS - 1) return h;
        const float4 w = ld4(N.head_out + k);
        return seed(w * make_float4(silu_slope(h.x), silu_slope(h.y), silu_slope(h.z), silu_slope(h.w)));
    }
    __device__ void store(int atom, int ch, float2 (&out)[1][1]) const {
        if (l == 0) {
            st2(grad_q(LAYERS - 1).at(atom, ch), out[0][0]);
        } else {
            float *h = N.head[l - 1].h + cell_of(atom, head().inputs) + ch;
            st2(h, out[0][0] * silu_slope(ld2(h)));
        }
    }
};
