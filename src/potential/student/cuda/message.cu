// Messages of a StudentForceField between neighbours, forward and backward, and what they say about the forces.
//
// A warp works on one atom and a slice of 32 channels, a lane on one of them, pair by pair in the order of the atom's
// row, so that sums depend on nothing but the positions.

enum Filter { OF_S, OF_UNIT, OF_V };

// s_i += sum_j w_s s_j ;  v_i += sum_j w_unit u + w_v v_j. In the first layer s is the element's and v is zero.
template <bool FIRST> __device__ __forceinline__ void forward(int l) {
    const Place place;
    const int i = place.atom, ch = place.channel;
    if (i >= E.atoms) return;
    const StudentLayer &layer = S.layer[l];
    const float *table = place.table(layer.table);
    const u32 start = E.rows[i], count = E.active[i];
    float s = FIRST ? S.embedding[size_t(E.species[i]) * F + ch] : layer.sent[size_t(i) * 4 * F + ch], v[3];
    for (int a = 0; a < 3; ++a) v[a] = FIRST ? 0.0f : layer.sent[(size_t(i) * 4 + 1 + a) * F + ch];
    for (u32 p = start; p < start + count; ++p) {
        const float4 geometry = E.geometry[p];
        const u32 j = E.pair[p].x;
        const Knot knot(table, geometry.w);
        const float along = knot.value(OF_UNIT), unit[3] = {geometry.x, geometry.y, geometry.z};
        const float *sent = FIRST ? S.embedding + size_t(E.species[j]) * F + ch : layer.sent + size_t(j) * 4 * F + ch;
        s = fmaf(knot.value(OF_S), sent[0], s);
        const float carry = FIRST ? 0.0f : knot.value(OF_V);
        for (int a = 0; a < 3; ++a) {
            v[a] = fmaf(along, unit[a], v[a]);
            if (!FIRST) v[a] = fmaf(carry, sent[(1 + a) * F], v[a]);
        }
    }
    S.s[size_t(i) * F + ch] = s;
    for (int a = 0; a < 3; ++a) layer.v[(size_t(i) * 3 + a) * F + ch] = v[a];
}

// Sums four numbers over a warp in a fixed tree: lane 8 k gets number k.
__device__ __forceinline__ float four_sums(const float (&x)[4]) {
    const bool high = lane_id() & 16, late = lane_id() & 8;
    const float first = (high ? x[2] : x[0]) + __shfl_xor_sync(FULL, high ? x[0] : x[2], 16);
    const float second = (high ? x[3] : x[1]) + __shfl_xor_sync(FULL, high ? x[1] : x[3], 16);
    float sum = (late ? second : first) + __shfl_xor_sync(FULL, late ? first : second, 8);
    for (int d = 4; d > 0; d /= 2) sum += __shfl_xor_sync(FULL, sum, d);
    return sum;
}

// Gradients that the row's own atom j collects from its neighbours i (u is that of the pair i <- j: minus the row's), and
// t and s of each pair of the row, to those of the layers behind. Nothing reads the gradients of the first layer.
template <bool FIRST> __device__ __forceinline__ void backward(int l) {
    const Place place;
    const int j = place.atom, ch = place.channel;
    if (j >= E.atoms) return;
    const StudentLayer &layer = S.layer[l];
    const float *table = place.table(layer.table), *grad = S.grad[l & 1];
    const u32 start = E.rows[j], count = E.active[j];
    const float s = FIRST ? S.embedding[size_t(E.species[j]) * F + ch] : layer.sent[size_t(j) * 4 * F + ch];
    float v[3], sum_s = 0.0f, sum_v[3] = {0.0f, 0.0f, 0.0f};
    for (int a = 0; a < 3; ++a) v[a] = FIRST ? 0.0f : layer.sent[(size_t(j) * 4 + 1 + a) * F + ch];
    for (u32 p = start; p < start + count; ++p) {
        const float4 geometry = E.geometry[p];
        const uint2 pair = E.pair[p];
        const float *from = grad + size_t(pair.x) * 4 * F + ch;
        const float gs = from[0], gv[3] = {from[F], from[2 * F], from[3 * F]};
        const Knot knot(table, geometry.w);
        float slope_s, slope_unit;
        const float w_s = knot.value(OF_S, slope_s), along = knot.value(OF_UNIT, slope_unit);
        const float turned = fmaf(geometry.x, gv[0], fmaf(geometry.y, gv[1], geometry.z * gv[2]));
        float out[4] = {along * gv[0], along * gv[1], along * gv[2], fmaf(slope_s, s * gs, -slope_unit * turned)};
        if (!FIRST) {
            float slope_v;
            const float carry = knot.value(OF_V, slope_v);
            out[3] = fmaf(slope_v, fmaf(v[0], gv[0], fmaf(v[1], gv[1], v[2] * gv[2])), out[3]);
            sum_s = fmaf(w_s, gs, sum_s);
            for (int a = 0; a < 3; ++a) sum_v[a] = fmaf(carry, gv[a], sum_v[a]);
        }
        const float sum = four_sums(out);
        if (lane_id() % 8 == 0) {
            float *push = reinterpret_cast<float *>(E.push + size_t(pair.y) * SLICES + place.slice) + lane_id() / 8;
            *push = l == LAYERS - 1 ? sum : *push + sum;
        }
    }
    if (FIRST) return;
    const float *had = grad + size_t(j) * 4 * F + ch;
    float *after = S.grad[(l - 1) & 1] + size_t(j) * 4 * F + ch;
    after[0] = had[0] + sum_s;
    for (int a = 0; a < 3; ++a) after[(1 + a) * F] = had[(1 + a) * F] + sum_v[a];
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
