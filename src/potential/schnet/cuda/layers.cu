// The atom-wise layers of a SchNet: updates, forward and backward.

// ln(1 + exp(x)) - ln 2, and its slope.
__device__ __forceinline__ float shifted_softplus(float x) {
    return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))) - 0.693147181f;
}
__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// x += C2 ssp(C1 g + c1) + c2; y = A x, which the next layer sends.
extern "C" __global__ void __launch_bounds__(THREADS) update(int l) {
    follow();
    const Rows rows;
    const SchnetLayer &layer = S.layer[l];
    float *a = rows.room, *h = a + ROWS * F;
    rows.each([&](int r, size_t atom, int ch) { a[r * F + ch] = S.sum[atom * F + ch]; });
    rows.clear_rest(a, F);
    __syncthreads();
    dense(a, F, F, layer.output1, layer.output1_bias, F, [&](int r, int n, float sum) {
        if (r < rows.count) layer.k[size_t(rows.first + r) * F + n] = sum;
        h[r * F + n] = shifted_softplus(sum);
    });
    __syncthreads();
    dense(h, F, F, layer.output2, layer.output2_bias, F, [&](int r, int n, float sum) {
        if (r >= rows.count) return;
        float &x = S.x[size_t(rows.first + r) * F + n];
        x += sum;
        a[r * F + n] = x;
    });
    if (l == LAYERS - 1) return;
    __syncthreads();
    const SchnetLayer &next = S.layer[l + 1];
    dense(a, F, F, next.input, nullptr, F, [&](int r, int n, float sum) {
        if (r < rows.count) next.sent[size_t(rows.first + r) * F + n] = sum;
    });
}

// G_x += A^T G_y of what the layer behind sent; G_g = C1^T (ssp'(k) C2^T G_x).
extern "C" __global__ void __launch_bounds__(THREADS) update_back(int l) {
    follow();
    const Rows rows;
    const SchnetLayer &layer = S.layer[l];
    float *a = rows.room, *h = a + ROWS * F;
    if (l < LAYERS - 1) {
        rows.each([&](int r, size_t atom, int ch) { h[r * F + ch] = S.sum[atom * F + ch]; });
        rows.clear_rest(h, F);
        __syncthreads();
        dense(h, F, F, S.layer[l + 1].input_back, nullptr, F, [&](int r, int n, float sum) {
            if (r < rows.count) S.grad_x[size_t(rows.first + r) * F + n] += sum;
        });
        __syncthreads();
    }
    rows.each([&](int r, size_t atom, int ch) { a[r * F + ch] = S.grad_x[atom * F + ch]; });
    rows.clear_rest(a, F);
    __syncthreads();
    dense(a, F, F, layer.output2_back, nullptr, F, [&](int r, int n, float sum) {
        h[r * F + n] = r < rows.count ? sum * sigmoid(layer.k[size_t(rows.first + r) * F + n]) : 0.0f;
    });
    __syncthreads();
    dense(h, F, F, layer.output1_back, nullptr, F, [&](int r, int n, float sum) {
        if (r < rows.count) S.grad[size_t(rows.first + r) * F + n] = sum;
    });
}

// What the readout begins with, and what it comes back to.
__device__ __forceinline__ float final_feature(size_t atom, int ch) { return S.x[atom * F + ch]; }
__device__ __forceinline__ void final_gradient(size_t atom, int ch, float g) { S.grad_x[atom * F + ch] = g; }
