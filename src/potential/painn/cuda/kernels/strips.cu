// The atom-wise layers as kernels for many atoms: all products between two messages, by blocks that have a strip of 16 atoms
// to themselves, or (TOGETHER) several, past which weights stream together.
//
// The atoms' inputs of a product are in shared memory (the board); all weights of the stage stream past them, through a ring
// of slots that a warp of its own fills as far ahead as it has room. What is needed again later waits in shared memory as
// well (the locker).
//
// Products are accurate to f32: an operand x is split into two halves, x = hi + lo, and a product takes three products of
// halves, hi hi + hi lo + lo hi; what is left out is below 2^-21 of it. For that numbers must be in the range of
// halves: weights are scaled as a whole by a power of two, what an atom puts in by another, so that the largest is
// between 2^13 and 2^14; what is then below the smallest half is 2^-38 of the largest. With TERMS 1 a product takes hi hi
// alone. In 16 bits (NARROW) inputs are what they are, halves or bfloat16, weights alone are scaled, and what waits in the
// locker is in 16 bits as well, so that two strips have room on a multiprocessor: by a block of their own each, or in one.
// In 8 bits (EIGHT) weights are whole numbers, and each output channel has a scale.
//
// Each of the other warps makes 16 channels of the results, for all atoms, and so each thread has all of the components and
// groups of its atoms' channels: it goes on with them in registers. What a thread has is also what it gives to
// tensor cores as the left operand of the next product, so it puts whole 16 bytes on the board. The order of channels
// inside of 16 is such that a thread has four that follow each other (`streams.rs`).

#if BY_STRIPS
// F numbers of each atom: those of this thread, four channels of one of the upper 8 atoms and of one of the lower.
struct Field {
    float4 v[2];
};
#define BOTH _Pragma("unroll") for (int i = 0; i < 2; ++i)

struct Place {
    int row, ch;
    __device__ Place() {
        row = (blockIdx.x * TOGETHER + strip_here()) * ROWS + lane_id() / 4;
        ch = worker_here() * 16 + lane_id() % 4 * 4;
    }
    __device__ int atom(int i) const { return row + i * 8; }
    __device__ bool live(int i) const { return atom(i) < int(E.atoms); }
    __device__ Field read(Spot from) const {
        Field f;
        BOTH {
            f.v[i] = make_float4(0, 0, 0, 0);
            if (live(i)) f.v[i] = ld4(from.at(atom(i), ch));
        }
        return f;
    }
    __device__ void write(Spot to, const Field &f) const {
        BOTH if (live(i)) st4(to.at(atom(i), ch), f.v[i]);
    }
    // To an array of f32, so many numbers for each atom.
    __device__ void write_full(float *to, int width, const Field &f) const {
        BOTH if (live(i)) st4(to + size_t(atom(i)) * width + ch, f.v[i]);
    }
    // The locker's places are for what this thread alone will need; `send_for` puts it there without waiting.
    static __device__ Stored *locker(int k, int i) {
        uint4 *place = area() + LOCKER + k * LOCKER_FIELD + thread_here();
        return NARROW ? reinterpret_cast<Stored *>(place) + i * 4 : reinterpret_cast<Stored *>(place + i * WORKING);
    }
    __device__ void keep(int k, const Field &f) const { BOTH st4(locker(k, i), f.v[i]); }
    __device__ Field kept(int k) const {
        Field f;
        BOTH f.v[i] = ld4(locker(k, i));
        return f;
    }
    __device__ void send_for(int k, Spot from) const {
        BOTH send(locker(k, i), live(i) ? from.at(atom(i), ch) : from.base, live(i));
    }
    // The same for all atoms: number k of F numbers each.
    __device__ Field bias(int k) const {
        Field f;
        BOTH f.v[i] = ld4(reinterpret_cast<const float *>(area() + BIASES) + k * F + ch);
        return f;
    }
};
__device__ __forceinline__ Field operator+(const Field &a, const Field &b) {
    Field f;
    BOTH f.v[i] = a.v[i] + b.v[i];
    return f;
}
__device__ __forceinline__ Field operator*(const Field &a, const Field &b) {
    Field f;
    BOTH f.v[i] = a.v[i] * b.v[i];
    return f;
}
// a b + c
__device__ __forceinline__ Field fma(const Field &a, const Field &b, const Field &c) {
    Field f;
    BOTH {
        f.v[i] = make_float4(fmaf(a.v[i].x, b.v[i].x, c.v[i].x), fmaf(a.v[i].y, b.v[i].y, c.v[i].y),
                             fmaf(a.v[i].z, b.v[i].z, c.v[i].z),
                             fmaf(a.v[i].w, b.v[i].w, c.v[i].w));
    }
    return f;
}
// Each number by itself.
template <class Act> __device__ __forceinline__ Field map(const Field &a, Act act) {
    Field f;
    BOTH f.v[i] = make_float4(act(a.v[i].x), act(a.v[i].y), act(a.v[i].z), act(a.v[i].w));
    return f;
}
__device__ __forceinline__ Field all_of(float x) {
    Field f;
    BOTH f.v[i] = make_float4(x, x, x, x);
    return f;
}
__device__ __forceinline__ Field silu(const Field &a) {
    return map(a, [](float x) { return silu(x); });
}
__device__ __forceinline__ Field silu_slope(const Field &a) {
    return map(a, [](float x) { return silu_slope(x); });
}

// What results of a product of the thread's upper and lower atom must be multiplied with.
struct Back {
    float by[2];
};

__device__ __forceinline__ void split(float x, float y, u32 &hi, u32 &lo) {
    float2 upper;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(hi) : "f"(y), "f"(x));
    asm("{\n.reg .b16 a, b;\nmov.b32 {a, b}, %2;\ncvt.f32.f16 %0, a;\ncvt.f32.f16 %1, b;\n}"
        : "=f"(upper.x), "=f"(upper.y)
        : "r"(hi));
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(lo) : "f"(y - upper.y), "f"(x - upper.x));
}

#if NARROW
// Puts F numbers an atom, or so many times F, on the board.
template <int COUNT> __device__ __forceinline__ Back publish(const Field (&f)[COUNT]) {
    const int worker = worker_here(), lane = lane_id();
    workers_barrier(); // nobody needs any more what was on the board
#pragma unroll
    for (int c = 0; c < COUNT; ++c) {
        const uint2 upper = narrow(f[c].v[0]), lower = narrow(f[c].v[1]);
        area()[(c * WORKERS + worker) * WARP + lane] = make_uint4(upper.x, lower.x, upper.y, lower.y);
    }
    workers_barrier();
    return {{N.weights_unit, N.weights_unit}};
}
#else
// The largest number that each warp has of an atom.
__device__ float (&largest_of_workers())[ROWS][WORKERS] {
    __shared__ float all[TOGETHER][ROWS][WORKERS];
    return all[strip_here()];
}

// Puts F numbers an atom, or so many times F, on the board, each atom's scaled alike.
template <int COUNT> __device__ __forceinline__ Back publish(const Field (&f)[COUNT]) {
    float(&most)[ROWS][WORKERS] = largest_of_workers();
    const int worker = worker_here(), lane = lane_id(), g = lane / 4;
    Back back;
    BOTH {
        float largest = 0;
#pragma unroll
        for (int c = 0; c < COUNT; ++c) {
            const float4 v = f[c].v[i];
            largest = fmaxf(largest, fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w))));
        }
        largest = fmaxf(largest, __shfl_xor_sync(FULL, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(FULL, largest, 2));
        if (lane % 4 == 0) most[i * 8 + g][worker] = largest;
    }
    workers_barrier(); // and nobody needs any more what was on the board
    float scale[2];
    BOTH {
        float largest = 0;
#pragma unroll
        for (int w = 0; w < WORKERS; ++w) largest = fmaxf(largest, most[i * 8 + g][w]);
        const u32 exponent = max(__float_as_uint(largest) >> 23, 14u);
        scale[i] = __uint_as_float((267 - exponent) << 23);
        back.by[i] = __uint_as_float((exponent - 13) << 23) * N.weights_unit;
    }
#pragma unroll
    for (int c = 0; c < COUNT; ++c) {
        u32 hi[4], lo[4];
        BOTH {
            const float4 v = scale4(scale[i], f[c].v[i]);
            split(v.x, v.y, hi[i], lo[i]);
            split(v.z, v.w, hi[i + 2], lo[i + 2]);
        }
        uint4 *to = area() + (c * WORKERS + worker) * SPLIT * WARP + lane;
        to[0] = make_uint4(hi[0], hi[1], hi[2], hi[3]);
        if (SPLIT == 2) to[WARP] = make_uint4(lo[0], lo[1], lo[2], lo[3]);
    }
    workers_barrier();
    return back;
}
#endif

#if BFLOAT
#define OPERANDS "bf16.bf16"
#else
#define OPERANDS "f16.f16"
#endif
__device__ __forceinline__ void mma(float (&c)[4], const uint4 &a, u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32." OPERANDS ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}

// A product of what is on the board, NC components of 16 DEPTH numbers each, with NG groups of F columns.
template <int NC, int NG, int DEPTH>
__device__ __forceinline__ void product(Stream &stream, const Back &back, Field (&out)[NC][NG]) {
    // With few tiles the terms of the split, or every other step, go to sums of their own, so that one need not wait for the
    // one before.
    constexpr int SETS = NC * NG > 1 ? 1 : TERMS == 1 ? 2 : TERMS;
    float acc[SETS][NC][NG][2][4] = {};
    uint4 a[2][NC][SPLIT], b[2][NG][SPLIT];
    const auto fetch = [&](int k, int s) {
#pragma unroll
        for (int c = 0; c < NC; ++c) {
            const uint4 *from = area() + (c * DEPTH + k) * SPLIT * WARP + lane_id();
#pragma unroll
            for (int part = 0; part < SPLIT; ++part) a[s][c][part] = from[part * WARP];
        }
#pragma unroll
        for (int r = 0; r < NG; ++r) stream.take((s * NG + r) & 1, b[s][r]);
    };
    // Tile n of 8 outputs: the part of its weights that a term takes.
    const auto weights = [&](const uint4 (&w)[SPLIT], int term, int n) {
        if (TERMS == 1) return n == 0 ? make_uint2(w[0].x, w[0].y) : make_uint2(w[0].z, w[0].w);
        const uint4 &both = w[n % SPLIT];
        return term == 1 ? make_uint2(both.z, both.w) : make_uint2(both.x, both.y);
    };
    const auto multiply = [&](int s) {
#pragma unroll
        for (int term = 0; term < TERMS; ++term) {
#pragma unroll
            for (int c = 0; c < NC; ++c) {
#pragma unroll
                for (int r = 0; r < NG; ++r) {
#pragma unroll
                    for (int n = 0; n < 2; ++n) {
                        const uint2 w = weights(b[s][r], term, n);
                        const int part = TERMS == 3 && term == 0 ? SPLIT - 1 : 0;
                        mma(acc[SETS == 1 ? 0 : TERMS == 1 ? s : term][c][r][n], a[s][c][part], w.x, w.y);
                    }
                }
            }
        }
    };
    // The operands of one step are fetched before the products of the step before.
    fetch(0, 0);
#pragma unroll 1
    for (int k = 0; k < DEPTH; k += 2) {
        fetch(k + 1, 1);
        multiply(0);
        if (k + 2 < DEPTH) fetch(k + 2, 0);
        multiply(1);
    }
#pragma unroll
    for (int c = 0; c < NC; ++c) {
#pragma unroll
        for (int r = 0; r < NG; ++r) {
            BOTH {
                const auto sum = [&](int n, int d) {
                    float all = acc[0][c][r][n][d];
#pragma unroll
                    for (int s = 1; s < SETS; ++s) all += acc[s][c][r][n][d];
                    return all;
                };
                const float4 all = make_float4(sum(0, 2 * i), sum(0, 2 * i + 1), sum(1, 2 * i), sum(1, 2 * i + 1));
                out[c][r].v[i] = scale4(back.by[i], all);
            }
        }
    }
}

// In 8 bits, what weights are multiples of: each output channel's of a layer, which on the way forward multiplies results,
// on the way back what is put in. Number of the scales of each product among those of a stage.
constexpr int UPDATE1 = 0, UPDATE2 = 1, MIX = 4, CONTEXT1 = 6, CONTEXT2 = 7, HEAD = 6;
template <int COUNT> __device__ __forceinline__ void scale(const Place &me, int which, Field (&f)[COUNT]) {
#if EIGHT
#pragma unroll
    for (int r = 0; r < COUNT; ++r) f[r] = f[r] * me.bias(SCALES + which + r);
#endif
}
// A product forward with weights whose scales have this number.
template <int NC, int NG, int DEPTH>
__device__ __forceinline__ void product(const Place &me, int which, Stream &stream, const Back &back, Field (&out)[NC][NG]) {
    product<NC, NG, DEPTH>(stream, back, out);
#pragma unroll
    for (int c = 0; c < NC; ++c) scale(me, which, out[c]);
}
// What a product back takes.
template <int COUNT> __device__ __forceinline__ Back publish(const Place &me, int which, const Field (&f)[COUNT]) {
#if EIGHT
    Field scaled[COUNT];
#pragma unroll
    for (int c = 0; c < COUNT; ++c) scaled[c] = f[c];
    scale(me, which, scaled);
    return publish(scaled);
#else
    return publish(f);
#endif
}

// What a thread keeps of a layer from its update to the way back, besides v and w.
struct Kept {
    Field norm, dot, k, b, c;

    __device__ void mix(const Field (&v)[3], const Field (&w)[3], float epsilon) {
        norm = all_of(epsilon);
        dot = all_of(0.0f);
#pragma unroll
        for (int c = 0; c < 3; ++c) {
            norm = fma(v[c], v[c], norm);
            dot = fma(v[c], w[c], dot);
        }
        norm = map(norm, [](float x) { return sqrtf(x); });
    }
};

// Biases of an update on the way forward: of k; of a, b, c.
constexpr int K_BIAS = 0, ABC_BIAS = 1, UPDATE_BIASES = 4;

// From the messages of layer l to the scalars q behind it.
__device__ __forceinline__ Field update_forward(int l, const Place &me, Stream &stream, Kept &kept) {
    const Layer &layer = N.layer[l];
    Field vectors[3], mixed[3][2], k[1][1], abc[1][3];
#pragma unroll
    for (int c = 0; c < 3; ++c) vectors[c] = me.read(spot(N.mu1, 3, c));
    const Field q1 = me.read(spot(N.q1));
    landed(); // the biases
    const Back back = publish(vectors);
    if (!LAST) {
#pragma unroll
        for (int c = 0; c < 3; ++c) me.keep(MU + c, vectors[c]);
    }
    product<3, 2, WORKERS>(me, MIX, stream, back, mixed);
    Field v[3], w[3];
#pragma unroll
    for (int c = 0; c < 3; ++c) {
        v[c] = mixed[c][0];
        w[c] = mixed[c][1];
        me.keep(W + c, w[c]);
        if (LAST) me.keep(V + c, v[c]);
    }
    kept.mix(v, w, layer.epsilon);
    const Field scalars[2] = {q1, kept.norm};
    const Back after = publish(scalars);
    if (!LAST) {
#pragma unroll
        for (int c = 0; c < 3; ++c) {
            me.write(spot(layer.vw, 6, 2 * c), v[c]);
            me.write(spot(layer.vw, 6, 2 * c + 1), w[c]);
        }
    }
    product<1, 1, 2 * WORKERS>(me, UPDATE1, stream, after, k);
    kept.k = k[0][0] + me.bias(K_BIAS);
    const Field active[1] = {silu(kept.k)};
    product<1, 3, WORKERS>(me, UPDATE2, stream, publish(active), abc);
    kept.b = abc[0][1] + me.bias(ABC_BIAS + 1);
    kept.c = abc[0][2] + me.bias(ABC_BIAS + 2);
    return fma(kept.c, kept.dot, q1 + abc[0][0] + me.bias(ABC_BIAS));
}

// From the gradients of the scalars and the vectors (none behind the last layer) that leave layer l to those of its
// messages.
__device__ __forceinline__ void update_backward(int l, const Place &me, Stream &stream, const Kept &kept, const Field &gq) {
    Field along = all_of(0.0f);
    if (!LAST) {
#pragma unroll
        for (int c = 0; c < 3; ++c) along = fma(me.kept(MU + c), me.kept(W + c), along);
    }
    Field gk[1][1], inner[1][2];
    const Field abc[3] = {gq, along, gq * kept.dot};
    product<1, 1, 3 * WORKERS>(stream, publish(me, UPDATE2, abc), gk);
    const Field through[1] = {gk[0][0] * silu_slope(kept.k)};
    product<1, 2, WORKERS>(stream, publish(me, UPDATE1, through), inner);
    me.write(grad_q(l), gq + inner[0][0]);
    const Field gc = gq * kept.c, gn = inner[0][1] * map(kept.norm, [](float x) { return __fdividef(1.0f, x); });
    Field vectors[6], g[3][1];
#pragma unroll
    for (int c = 0; c < 3; ++c) {
        const Field v = me.kept(V + c);
        vectors[2 * c] = fma(gn, v, gc * me.kept(W + c));
        vectors[2 * c + 1] = gc * v;
        if (!LAST) vectors[2 * c + 1] = fma(me.kept(MU + c), kept.b, vectors[2 * c + 1]);
#if EIGHT
        vectors[2 * c] = vectors[2 * c] * me.bias(SCALES + MIX);
        vectors[2 * c + 1] = vectors[2 * c + 1] * me.bias(SCALES + MIX + 1);
#endif
    }
    product<3, 1, 2 * WORKERS>(stream, publish(vectors), g);
#pragma unroll
    for (int c = 0; c < 3; ++c) me.write(grad_mu(l, c), LAST ? g[c][0] : g[c][0] + me.kept(MU + c));
}

// Numbers that all atoms share on their way to shared memory: `width` of them, then zeros up to a multiple of F.
__device__ __forceinline__ void bring(int at, const float *from, int width) {
    for (int k = thread_here() * 4; k < (width + F - 1) / F * F; k += WORKING * 4) {
        send(area() + BIASES + (at * F + k) / 4, k < width ? from + k : from, k < width);
    }
}

// So many of a layer's scales, from number `from` on, as those of the stage from number `to` on.
__device__ __forceinline__ void bring_scales(const float *scales, int to, int from, int count) {
#if EIGHT
    bring(SCALES + to, scales + from * F, count * F);
#endif
}

constexpr int UPDATE_CHUNKS = 7 * WORKERS, CONTEXT_CHUNKS = 4 * WORKERS;

// A stage: one warp fetches the weights, the others do the work.
template <class Work> __device__ __forceinline__ void stage(const float *pack, int chunks, Work work) {
    Stream stream;
    if (threadIdx.x < TOGETHER * WORKING) {
        work(stream);
    } else {
        Stream::fetch(pack, chunks);
        follow();
    }
}

#define STAGE(name) extern "C" __global__ void __launch_bounds__(STAGE_THREADS, NARROW && TOGETHER == 1 ? 2 : 1) name

#if PART == 0
// From the messages of layer l to the contexts of the next.
__device__ __forceinline__ void forward_stage(int l) {
    constexpr int H_BIAS = UPDATE_BIASES, X_BIAS = H_BIAS + 1;
    const Layer &layer = N.layer[l], &next = N.layer[l + 1];
    stage(layer.forward, UPDATE_CHUNKS + CONTEXT_CHUNKS, [&](Stream &stream) {
        bring(K_BIAS, layer.update1_bias, F);
        bring(ABC_BIAS, layer.update2_bias, 3 * F);
        bring(H_BIAS, next.context1_bias, F);
        bring(X_BIAS, next.context2_bias, 3 * F);
        bring_scales(layer.scales, UPDATE1, 0, 6);
        bring_scales(next.scales, CONTEXT1, 6, 4);
        const Place me;
        Kept kept;
        Field h[1][1], x[1][3];
        follow();
        const Field q[1] = {update_forward(l, me, stream, kept)};
        const Back back = publish(q);
        me.write(spot(N.q), q[0]);
        me.write(spot(layer.k), kept.k);
        me.write(spot(layer.b), kept.b);
        me.write(spot(layer.c), kept.c);
#pragma unroll
        for (int c = 0; c < 3; ++c) me.write(vector(next, c), fma(kept.b, me.kept(W + c), me.kept(MU + c)));
        product<1, 1, WORKERS>(me, CONTEXT1, stream, back, h);
        h[0][0] = h[0][0] + me.bias(H_BIAS);
        const Field active[1] = {silu(h[0][0])};
        const Back after = publish(active);
        me.write(spot(next.h), h[0][0]);
        product<1, 3, WORKERS>(me, CONTEXT2, stream, after, x);
#pragma unroll
        for (int r = 0; r < 3; ++r) me.write(context(next, r), x[0][r] + me.bias(X_BIAS + r));
    });
}

STAGE(atoms_forward)(int l) { forward_stage(l); }

#elif PART == 1
// From the messages of the last layer to their gradient. The readout's hidden layer is made as if it were F wide.
__device__ __forceinline__ void turn_stage(int l) {
    constexpr int HEAD_BIAS = UPDATE_BIASES, OUT = HEAD_BIAS + 1;
    const Layer &layer = N.layer[l];
    const Head &head = N.head[0];
    stage(layer.forward, 2 * UPDATE_CHUNKS + WORKERS + HEAD_OUT / 16, [&](Stream &stream) {
        bring(K_BIAS, layer.update1_bias, F);
        bring(ABC_BIAS, layer.update2_bias, 3 * F);
        bring(HEAD_BIAS, head.bias, HEAD_OUT);
        bring(OUT, N.head_out, HEAD_OUT);
        bring_scales(layer.scales, UPDATE1, 0, 6);
        bring_scales(head.scales, HEAD, 0, 1);
        const Place me;
        Kept kept;
        Field h[1][1], gq[1][1];
        follow();
        const Field q[1] = {update_forward(l, me, stream, kept)};
        product<1, 1, WORKERS>(me, HEAD, stream, publish(q), h);
        h[0][0] = h[0][0] + me.bias(HEAD_BIAS);
        if (me.ch < HEAD_OUT) me.write_full(head.h, HEAD_OUT, h[0][0]);
        const Field through[1] = {map(me.bias(OUT) * silu_slope(h[0][0]), [](float x) { return seed(x); })};
        product<1, 1, HEAD_OUT / 16>(stream, publish(me, HEAD, through), gq);
        update_backward(l, me, stream, kept, gq[0][0]);
    });
}

STAGE(atoms_turn)(int l) { turn_stage(l); }

#elif PART == 2
// From the gradient of the contexts of layer l + 1 to that of the messages of layer l.
__device__ __forceinline__ void backward_stage(int l) {
    const Layer &layer = N.layer[l], &next = N.layer[l + 1];
    stage(layer.backward, CONTEXT_CHUNKS + UPDATE_CHUNKS, [&](Stream &stream) {
        const Place me;
        Kept kept;
        Field gx[3], gh[1][1], g[1][1];
        // Written by the way forward, long done.
#pragma unroll
        for (int c = 0; c < 3; ++c) {
            me.send_for(V + c, spot(layer.vw, 6, 2 * c));
            me.send_for(W + c, spot(layer.vw, 6, 2 * c + 1));
        }
        const Field h = me.read(spot(next.h));
        bring_scales(layer.scales, UPDATE1, 0, 6);
        bring_scales(next.scales, CONTEXT1, 6, 4);
        follow();
#pragma unroll
        for (int r = 0; r < 3; ++r) gx[r] = me.read(context(next, r));
#pragma unroll
        for (int c = 0; c < 3; ++c) me.send_for(MU + c, grad_mu(l, c));
        const Field gq = me.read(grad_q(l + 1));
#if EIGHT
        landed(); // the scales
        workers_barrier();
#endif
        product<1, 1, 3 * WORKERS>(stream, publish(me, CONTEXT2, gx), gh);
        const Field through[1] = {gh[0][0] * silu_slope(h)};
        kept.k = me.read(spot(layer.k));
        kept.b = me.read(spot(layer.b));
        kept.c = me.read(spot(layer.c));
        product<1, 1, WORKERS>(stream, publish(me, CONTEXT1, through), g);
        landed();
        const Field v[3] = {me.kept(V), me.kept(V + 1), me.kept(V + 2)}, w[3] = {me.kept(W), me.kept(W + 1), me.kept(W + 2)};
        kept.mix(v, w, layer.epsilon);
        update_backward(l, me, stream, kept, gq + g[0][0]);
    });
}

STAGE(atoms_backward)(int l) { backward_stage(l); }
#endif
#endif
