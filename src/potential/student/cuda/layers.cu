// The atom-wise layers of a StudentForceField: updates, forward and backward, and the readout.
//
// A block takes ROWS atoms through a layer, its numbers in shared memory; a thread computes one output of all of them at a
// time, each a sum over inputs in ascending order.

__device__ __forceinline__ float silu(float x) { return x / (1.0f + expf(-x)); }
__device__ __forceinline__ float silu_slope(float x) {
    const float s = 1.0f / (1.0f + expf(-x));
    return s * fmaf(x, 1.0f - s, 1.0f);
}

// Norms below this do not turn a gradient: at v = 0, where |v| has no slope, none is taken.
constexpr float LEAST_NORM = 1e-15f;

// Calls out(row, output, sum) with the sums over `inputs` numbers of each row of `a`, rows `stride` apart, times a map in
// panels of SLICE outputs.
template <class Out>
__device__ __forceinline__ void dense(const float *a, int stride, int inputs, const float *panels, const float *bias,
                                      int outputs, Out out) {
    for (int n = threadIdx.x; n < outputs; n += THREADS) {
        const float *w = panels + size_t(n / SLICE) * inputs * SLICE + n % SLICE;
        const float start = bias ? bias[n] : 0.0f;
        float sum[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; ++r) sum[r] = start;
#pragma unroll 4
        for (int k = 0; k < inputs; k += 4, w += 4 * SLICE) {
            const float w0 = w[0], w1 = w[SLICE], w2 = w[2 * SLICE], w3 = w[3 * SLICE];
#pragma unroll
            for (int r = 0; r < ROWS; ++r) {
                const float4 x = ld4(a + r * stride + k);
                sum[r] = fmaf(x.w, w3, fmaf(x.z, w2, fmaf(x.y, w1, fmaf(x.x, w0, sum[r]))));
            }
        }
#pragma unroll
        for (int r = 0; r < ROWS; ++r) out(r, n, sum[r]);
    }
}

// The atoms of a block, and its shared memory.
struct Rows {
    int first, count;
    float *room;
    __device__ Rows() {
        extern __shared__ float4 shared[];
        room = reinterpret_cast<float *>(shared);
        first = blockIdx.x * ROWS;
        count = min(ROWS, int(E.atoms) - first);
    }
    // Calls each(row, atom, channel) for all of them.
    template <class Each> __device__ __forceinline__ void each(Each each) const {
        for (int x = threadIdx.x; x < count * F; x += THREADS) each(x / F, size_t(first + x / F), x % F);
    }
    // Zeros where there are no atoms, so that what is not read is finite.
    __device__ void clear_rest(float *a, int width) const {
        for (int x = count * width + threadIdx.x; x < ROWS * width; x += THREADS) a[x] = 0.0f;
    }
};

__device__ __forceinline__ void vector(const StudentLayer &layer, size_t atom, int ch, float (&v)[3]) {
    for (int a = 0; a < 3; ++a) v[a] = layer.v[(atom * 3 + a) * F + ch];
}
__device__ __forceinline__ float norm(const float (&v)[3]) {
    return sqrtf(fmaf(v[2], v[2], fmaf(v[1], v[1], v[0] * v[0])));
}
__device__ __forceinline__ float dot3(float a, float b, float c, const float (&v)[3]) {
    return fmaf(c, v[2], fmaf(b, v[1], a * v[0]));
}

// (a, g, h) = U2 silu(U1 [s, |v|] + c1) + c2; s += a; v = g v + h (M v), to what the next layer sends.
extern "C" __global__ void __launch_bounds__(THREADS) student_update(int l) {
    follow();
    const Rows rows;
    const StudentLayer &layer = S.layer[l];
    const bool last = l == LAYERS - 1;
    float *a = rows.room, *h = a + ROWS * 3 * F;
    rows.each([&](int r, size_t atom, int ch) {
        float v[3];
        vector(layer, atom, ch, v);
        a[r * 2 * F + ch] = S.s[atom * F + ch];
        a[r * 2 * F + F + ch] = norm(v);
    });
    rows.clear_rest(a, 2 * F);
    __syncthreads();
    dense(a, 2 * F, 2 * F, layer.update1, layer.update1_bias, F, [&](int r, int n, float sum) {
        if (r < rows.count) layer.k[size_t(rows.first + r) * F + n] = sum;
        h[r * F + n] = silu(sum);
    });
    __syncthreads();
    dense(h, F, F, layer.update2, layer.update2_bias, last ? F : 3 * F,
          [&](int r, int n, float sum) { a[r * 3 * F + n] = sum; });
    __syncthreads();
    rows.each([&](int r, size_t atom, int ch) {
        const float *of = a + r * 3 * F + ch, s = S.s[atom * F + ch] + of[0];
        if (last) {
            S.s[atom * F + ch] = s;
            return;
        }
        const float gate = of[F], turn = of[2 * F];
        float v[3];
        vector(layer, atom, ch, v);
        layer.gates[atom * 2 * F + ch] = gate;
        layer.gates[(atom * 2 + 1) * F + ch] = turn;
        float *sent = S.layer[l + 1].sent + atom * 4 * F + ch;
        sent[0] = s;
        for (int b = 0; b < 3; ++b) {
            const float *m = layer.mixing[b];
            sent[(1 + b) * F] = fmaf(gate, v[b], turn * dot3(m[0], m[1], m[2], v));
        }
    });
}

// From the gradients of s and v behind an update to those behind the message, in place:
// G_a = G_s ;  G_g = G_v . v ;  G_h = G_v . (M v) ;  G_k = silu'(k) U2^T (G_a, G_g, G_h) ;  (G_s', G_n) = U1^T G_k ;
// G_s += G_s' ;  G_v = g G_v + M^T (h G_v) + G_n v / |v|. The last layer has neither g nor h.
extern "C" __global__ void __launch_bounds__(THREADS) student_update_back(int l) {
    follow();
    const Rows rows;
    const StudentLayer &layer = S.layer[l];
    const bool last = l == LAYERS - 1;
    const int width = last ? F : 3 * F;
    float *a = rows.room, *h = a + ROWS * 3 * F, *grad = S.grad[l & 1];
    rows.each([&](int r, size_t atom, int ch) {
        const float *g = grad + atom * 4 * F + ch;
        float *to = a + r * width + ch;
        to[0] = g[0];
        if (last) return;
        float v[3], gate = 0.0f, turn = 0.0f;
        vector(layer, atom, ch, v);
        for (int b = 0; b < 3; ++b) {
            const float *m = layer.mixing[b], gv = g[(1 + b) * F];
            gate = fmaf(gv, v[b], gate);
            turn = fmaf(gv, dot3(m[0], m[1], m[2], v), turn);
        }
        to[F] = gate;
        to[2 * F] = turn;
    });
    rows.clear_rest(a, width);
    __syncthreads();
    dense(a, width, width, layer.update2_back, nullptr, F, [&](int r, int n, float sum) {
        h[r * F + n] = r < rows.count ? sum * silu_slope(layer.k[size_t(rows.first + r) * F + n]) : 0.0f;
    });
    __syncthreads();
    dense(h, F, F, layer.update1_back, nullptr, 2 * F, [&](int r, int n, float sum) { a[r * 3 * F + n] = sum; });
    __syncthreads();
    rows.each([&](int r, size_t atom, int ch) {
        float *g = grad + atom * 4 * F + ch, v[3], out[3];
        const float *of = a + r * 3 * F + ch;
        vector(layer, atom, ch, v);
        const float ratio = of[F] / fmaxf(norm(v), LEAST_NORM);
        g[0] += of[0];
        for (int b = 0; b < 3; ++b) out[b] = ratio * v[b];
        if (!last) {
            const float gate = layer.gates[atom * 2 * F + ch], turn = layer.gates[(atom * 2 + 1) * F + ch];
            const float gv[3] = {g[F], g[2 * F], g[3 * F]};
            for (int b = 0; b < 3; ++b) {
                const float back = dot3(layer.mixing[0][b], layer.mixing[1][b], layer.mixing[2][b], gv);
                out[b] += fmaf(gate, gv[b], turn * back);
            }
        }
        for (int b = 0; b < 3; ++b) g[(1 + b) * F] = out[b];
    });
}

// Through the readout, and back to the gradient of s behind the last layer.
extern "C" __global__ void __launch_bounds__(THREADS) student_readout() {
    follow();
    const Rows rows;
    float *a = rows.room, *b = a + ROWS * WIDEST, *grad = S.grad[(LAYERS - 1) & 1];
    const auto swap = [&] {
        float *old = a;
        a = b;
        b = old;
        __syncthreads();
    };
#if HEADS > 0
    rows.clear_rest(a, WIDEST);
    rows.each([&](int r, size_t atom, int ch) { a[r * WIDEST + ch] = S.s[atom * F + ch]; });
    __syncthreads();
    for (int k = 0; k < HEADS; ++k) {
        const StudentHead &head = S.head[k];
        dense(a, WIDEST, head.inputs, head.weight, head.bias, head.outputs, [&](int r, int n, float sum) {
            if (r < rows.count) head.h[size_t(rows.first + r) * head.outputs + n] = sum;
            // Of the last one, what the way back begins with.
            b[r * WIDEST + n] = k < HEADS - 1 ? silu(sum) : S.head_out[n] * silu_slope(sum);
        });
        swap();
    }
    for (int k = HEADS - 1; k > 0; --k) {
        const StudentHead &head = S.head[k], &before = S.head[k - 1];
        dense(a, WIDEST, head.outputs, head.weight_back, nullptr, head.inputs, [&](int r, int n, float sum) {
            const int row = min(r, rows.count - 1);
            b[r * WIDEST + n] = sum * silu_slope(before.h[size_t(rows.first + row) * before.outputs + n]);
        });
        swap();
    }
    const StudentHead &head = S.head[0];
    dense(a, WIDEST, head.outputs, head.weight_back, nullptr, head.inputs, [&](int r, int n, float sum) {
        if (r < rows.count) grad[size_t(rows.first + r) * 4 * F + n] = sum;
    });
#else
    rows.each([&](int, size_t atom, int ch) { grad[atom * 4 * F + ch] = S.head_out[ch]; });
#endif
}

// The energy of each atom: the last layer of the readout, whose hidden numbers the way there has left. A warp each.
extern "C" __global__ void __launch_bounds__(256) energies() {
    const int i = warp_of_grid(), lane = lane_id();
    if (i >= E.atoms) return;
    double energy = 0.0;
#if HEADS > 0
    const StudentHead &head = S.head[HEADS - 1];
    for (int k = lane; k < head.outputs; k += WARP) {
        const double h = head.h[size_t(i) * head.outputs + k];
        energy += double(S.head_out[k]) * h / (1.0 + exp(-h));
    }
#else
    for (int k = lane; k < F; k += WARP) energy += double(S.head_out[k]) * S.s[size_t(i) * F + k];
#endif
    energy = warp_sum(energy);
    if (lane == 0) E.energy[i] = energy;
}
