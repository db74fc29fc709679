// The atom-wise layers of a StudentForceField: updates, forward and backward.

// Norms below this do not turn a gradient: at v = 0, where |v| has no slope, none is taken.
constexpr float LEAST_NORM = 1e-15f;

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
extern "C" __global__ void __launch_bounds__(THREADS) update(int l) {
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
extern "C" __global__ void __launch_bounds__(THREADS) update_back(int l) {
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

// What the readout begins with, and what it comes back to.
__device__ __forceinline__ float final_feature(size_t atom, int ch) { return S.s[atom * F + ch]; }
__device__ __forceinline__ void final_gradient(size_t atom, int ch, float g) {
    S.grad[(LAYERS - 1) & 1][atom * 4 * F + ch] = g;
}
