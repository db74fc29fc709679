// Messages of a SchNet between neighbours, forward and backward, and what they say about the forces.
//
// A warp works on one atom and a slice of 32 channels, a lane on one of them, pair by pair in the order of the atom's
// row, so that sums depend on nothing but the positions.

// What an atom sends in a layer; in the first one it depends on the element.
template <bool FIRST> __device__ __forceinline__ float sent_by(const SchnetLayer &layer, u32 atom, int ch) {
    return FIRST ? S.first[size_t(E.species[atom]) * F + ch] : layer.sent[size_t(atom) * F + ch];
}

// g_i = sum_j w y_j. With the first layer x begins as the embedding.
template <bool FIRST> __device__ __forceinline__ void forward(int l) {
    const Place place;
    const int i = place.atom, ch = place.channel;
    if (i >= E.atoms) return;
    const SchnetLayer &layer = S.layer[l];
    const float *table = place.table(layer.table);
    const u32 start = E.rows[i], count = E.active[i];
    float sum = 0.0f;
    for (u32 p = start; p < start + count; ++p) {
        const Knot knot(table, E.geometry[p].w);
        sum = fmaf(knot.value(0), sent_by<FIRST>(layer, E.pair[p].x, ch), sum);
    }
    S.sum[size_t(i) * F + ch] = sum;
    if (FIRST) S.x[size_t(i) * F + ch] = S.embedding[size_t(E.species[i]) * F + ch];
}

// The gradient of what the row's own atom j sent, from its neighbours i, and s of each pair of the row, to those of the
// layers behind. Nothing reads the gradients of the first layer.
template <bool FIRST> __device__ __forceinline__ void backward(int l) {
    const Place place;
    const int j = place.atom, ch = place.channel;
    if (j >= E.atoms) return;
    const SchnetLayer &layer = S.layer[l];
    const float *table = place.table(layer.table);
    const u32 start = E.rows[j], count = E.active[j];
    const float own = sent_by<FIRST>(layer, j, ch);
    float sum = 0.0f;
    for (u32 p = start; p < start + count; ++p) {
        const uint2 pair = E.pair[p];
        const Knot knot(table, E.geometry[p].w);
        const float g = S.grad[size_t(pair.x) * F + ch];
        float slope;
        sum = fmaf(knot.value(0, slope), g, sum);
        float s = slope * own * g;
        for (int d = 16; d > 0; d /= 2) s += __shfl_xor_sync(FULL, s, d);
        if (lane_id() == 0) {
            float4 *push = E.push + size_t(pair.y) * SLICES + place.slice;
            *push = make_float4(0.0f, 0.0f, 0.0f, l == LAYERS - 1 ? s : push->w + s);
        }
    }
    if (!FIRST) S.sum[size_t(j) * F + ch] = sum;
}

extern "C" __global__ void __launch_bounds__(256) message(int l) {
    follow();
    if (l == 0) forward<true>(l);
    else forward<false>(l);
}

extern "C" __global__ void __launch_bounds__(256) message_back(int l) {
    follow();
    if (l == 0) backward<true>(l);
    else backward<false>(l);
}
