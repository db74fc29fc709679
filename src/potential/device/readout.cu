// The readout of a network whose block of constants `S` has its hidden layers, between `final_feature` and
// `final_gradient`.

// Through the readout, and back to the gradient of s behind the last layer.
extern "C" __global__ void __launch_bounds__(THREADS) readout() {
    follow();
    const Rows rows;
    float *a = rows.room, *b = a + ROWS * WIDEST;
    const auto swap = [&] {
        float *old = a;
        a = b;
        b = old;
        __syncthreads();
    };
#if HEADS > 0
    rows.clear_rest(a, WIDEST);
    rows.each([&](int r, size_t atom, int ch) { a[r * WIDEST + ch] = final_feature(atom, ch); });
    __syncthreads();
    for (int k = 0; k < HEADS; ++k) {
        const Head &head = S.head[k];
        dense(a, WIDEST, head.inputs, head.weight, head.bias, head.outputs, [&](int r, int n, float sum) {
            if (r < rows.count) head.h[size_t(rows.first + r) * head.outputs + n] = sum;
            // Of the last one, what the way back begins with.
            b[r * WIDEST + n] = k < HEADS - 1 ? silu(sum) : S.head_out[n] * silu_slope(sum);
        });
        swap();
    }
    for (int k = HEADS - 1; k > 0; --k) {
        const Head &head = S.head[k], &before = S.head[k - 1];
        dense(a, WIDEST, head.outputs, head.weight_back, nullptr, head.inputs, [&](int r, int n, float sum) {
            const int row = min(r, rows.count - 1);
            b[r * WIDEST + n] = sum * silu_slope(before.h[size_t(rows.first + row) * before.outputs + n]);
        });
        swap();
    }
    const Head &head = S.head[0];
    dense(a, WIDEST, head.outputs, head.weight_back, nullptr, head.inputs, [&](int r, int n, float sum) {
        if (r < rows.count) final_gradient(size_t(rows.first + r), n, sum);
    });
#else
    rows.each([&](int, size_t atom, int ch) { final_gradient(atom, ch, S.head_out[ch]); });
#endif
}

// The energy of each atom: the last layer of the readout, whose hidden numbers the way there has left. A warp each.
extern "C" __global__ void __launch_bounds__(256) energies() {
    const int i = warp_of_grid(), lane = lane_id();
    if (i >= E.atoms) return;
    double energy = 0.0;
#if HEADS > 0
    const Head &head = S.head[HEADS - 1];
    for (int k = lane; k < head.outputs; k += WARP) {
        const double h = head.h[size_t(i) * head.outputs + k];
        energy += double(S.head_out[k]) * h / (1.0 + exp(-h));
    }
#else
    for (int k = lane; k < F; k += WARP) energy += double(S.head_out[k]) * final_feature(i, k);
#endif
    energy = warp_sum(energy);
    if (lane == 0) E.energy[i] = energy;
}
