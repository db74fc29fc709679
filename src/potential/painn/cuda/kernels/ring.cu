// Shared memory of `strips.cu`, and the ring of slots through which the weights of a stage stream past its atoms.

#if BY_STRIPS
constexpr int WORKERS = F / 16;                // warps of a strip, each with 16 channels
constexpr int WORKING = WORKERS * WARP;        // threads of a strip; one more warp of a block fetches weights
constexpr int STAGE_THREADS = TOGETHER * WORKING + WARP;
constexpr int ROWS = STRIP;
constexpr bool LAST = PART == 1;               // whether it is the stage behind the last layer's messages

// Shared memory, in units of 16 bytes: for each strip the board, [input / 16][hi, lo][lane], the locker, and biases; then
// the ring. There is room for STRIP_NUMBERS times F numbers of each atom of a strip, in f32. With three terms the upper
// half of the board serves as a part of the locker, where only the last product needs it.
constexpr int SPLIT = TERMS == 3 ? 2 : 1;      // parts of an operand
constexpr int FIELD = 2 * WORKING;             // F numbers of each atom: in f32,
constexpr int BOARD_FIELD = SPLIT * WORKING;   // on the board,
constexpr int LOCKER_FIELD = NARROW ? WORKING : FIELD; // in the locker
// Components on the board; where vectors or their gradient are in the locker, and their mixtures: three places each.
constexpr int BOARD = (PART == 0 ? 3 : 6) * BOARD_FIELD;
#if TERMS == 3
constexpr int LOCKER = 0, LOCKER_END = (PART == 2 ? 12 : 9) * FIELD;
constexpr int V = 6, W = PART == 0 ? 6 : 3, MU = PART == 0 ? 3 : 9;
#else
constexpr int LOCKER = BOARD, LOCKER_END = LOCKER + (PART == 2 ? 9 : 6) * LOCKER_FIELD;
constexpr int V = 0, W = 3, MU = PART == 0 ? 0 : 6;
#endif
// What all atoms share, F numbers each: biases of the way forward, then in 8 bits the scales of the stage's weights.
constexpr int SCALES = PART == 2 ? 0 : 8, SHARED_NUMBERS = SCALES + (EIGHT ? 10 : 0);
constexpr int BIASES = LOCKER_END, AREA = BIASES + SHARED_NUMBERS * F / 4, RING = TOGETHER * AREA;
constexpr int CHUNK = EIGHT ? F : 2 * SPLIT * F; // 16 inputs, F outputs
constexpr int SLOT = 2 * CHUNK, SLOTS = (STRIP_NUMBERS * FIELD - RING) / SLOT;
static_assert(SLOTS >= 2, "a slot is filled while another is read");
extern __shared__ uint4 strip_memory[];

// The strip of its block that a thread works on, its number among those that do, its warp's, and their memory.
__device__ __forceinline__ int strip_here() { return TOGETHER == 1 ? 0 : threadIdx.x / WORKING; }
__device__ __forceinline__ int thread_here() { return TOGETHER == 1 ? threadIdx.x : threadIdx.x % WORKING; }
__device__ __forceinline__ int worker_here() { return thread_here() / WARP; }
__device__ __forceinline__ uint4 *area() { return strip_memory + strip_here() * AREA; }

// All warps of a strip.
__device__ __forceinline__ void workers_barrier() {
    asm volatile("bar.sync %0, %1;" ::"r"(1 + strip_here()), "n"(WORKING) : "memory");
}

// Four numbers on their way to shared memory, or zeros; `landed` waits for those that this thread has sent.
__device__ __forceinline__ void send(void *to, const float *from, bool numbers) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(numbers ? 16 : 0)
                 : "memory");
}
#if NARROW
__device__ __forceinline__ void send(void *to, const Stored *from, bool numbers) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared_address(to)), "l"(from), "r"(numbers ? 8 : 0)
                 : "memory");
}
#endif
__device__ __forceinline__ void landed() { asm volatile("cp.async.wait_all;" ::: "memory"); }

#if EIGHT
// Eight whole numbers, of a byte each that counts from -128, in halves: 1024 and the byte are one bit pattern.
__device__ __forceinline__ u32 two_whole(u32 bytes, u32 which) {
    u32 v;
    asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(v) : "r"(__byte_perm(bytes, 0x64646464, which)), "r"(0x64806480));
    return v;
}
__device__ __forceinline__ uint4 whole_numbers(uint2 bytes) {
    return make_uint4(two_whole(bytes.x, 0x4140), two_whole(bytes.x, 0x4342), two_whole(bytes.y, 0x4140),
                      two_whole(bytes.y, 0x4342));
}
#endif

// The weights of a stage, on their way through the ring.
struct Stream {
    int slot;     // that is read next, and how often the ring has been around
    u32 round;

    static __device__ u64 *barriers() {
        __shared__ u64 all[2 * SLOTS]; // of each slot: that it is full, that it is empty
        return all;
    }
    static __device__ u32 full(int slot) { return shared_address(barriers() + slot); }
    static __device__ u32 empty(int slot) { return shared_address(barriers() + SLOTS + slot); }

    __device__ Stream() : slot(0), round(0) {
        if (threadIdx.x < SLOTS) {
            asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(full(threadIdx.x)) : "memory");
            asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(empty(threadIdx.x)),
                         "n"(TOGETHER * (WATCHED ? WORKING : WORKERS))
                         : "memory");
            asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        }
        __syncthreads();
    }

    // The fetching warp's part: so many chunks.
    static __device__ void fetch(const float *pack, int chunks) {
        constexpr int BYTES = SLOT * 16;
        if (lane_id() != 0) return;
        for (int s = 0; s < chunks / 2; ++s) {
            const int slot = s % SLOTS;
            if (s >= SLOTS) {
                await(empty(slot), (s / SLOTS - 1) & 1);
                // A bulk copy is in another order than reads are: this puts it behind those of what was in the slot.
                // Without it two blocks of 64 features on a multiprocessor gave other bits in 4 of 6 runs.
                asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
            }
            asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(full(slot)), "r"(BYTES) : "memory");
            asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                             shared_address(strip_memory + RING + slot * SLOT)),
                         "l"(pack + size_t(s) * SLOT * 4), "r"(BYTES), "r"(full(slot))
                         : "memory");
        }
    }

    // What this thread needs of the next chunk: of each tile of 8 outputs the upper parts and the lower ones, or of both
    // tiles the only ones. The first of a slot waits for it, the second gives it back.
    __device__ void take(bool second, uint4 (&b)[SPLIT]) {
        if (!second) await(full(slot), round & 1);
        const uint4 *chunk = strip_memory + RING + slot * SLOT + (second ? CHUNK : 0);
        const int at = worker_here() * SPLIT * WARP + lane_id();
#if EIGHT
        b[0] = whole_numbers(reinterpret_cast<const uint2 *>(chunk)[at]);
#else
#pragma unroll
        for (int n = 0; n < SPLIT; ++n) b[n] = chunk[at + n * WARP];
#endif
        if (!second) return;
        // The other lanes have read as well by then; racecheck follows those alone that arrive.
        __syncwarp();
        if (WATCHED || lane_id() == 0)
            asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(empty(slot)) : "memory");
        if (++slot == SLOTS) {
            slot = 0;
            ++round;
        }
    }
};
#endif
