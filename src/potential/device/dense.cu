// Layers of atoms: a block takes ROWS of them through a layer, its numbers in shared memory; a thread computes one output
// of all of them at a time, each a sum over inputs in ascending order.

__device__ __forceinline__ float silu(float x) { return x / (1.0f + expf(-x)); }
__device__ __forceinline__ float silu_slope(float x) {
    const float s = 1.0f / (1.0f + expf(-x));
    return s * fmaf(x, 1.0f - s, 1.0f);
}

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
