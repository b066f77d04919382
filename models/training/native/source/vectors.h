// The unit of all arithmetic: the same number of as many images as a vector register holds.
//
// The batch is the innermost dimension of every map, so a layer fills whole vectors whatever its channels
// are. Images beyond the batch's last one fill the lanes of its last vector; see Batch in network.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace native {

// LANES: images in a vector. PIXELS: how many neighbouring pixels a kernel keeps in registers, for each of up
// to CHANNELS channels; CHANNELS * PIXELS sums, PIXELS inputs and a weight fit the registers there are.
constexpr int CHANNELS = 4;
#if defined(__AVX512F__)
constexpr int LANES = 16, PIXELS = 6;
#elif defined(__AVX__)
constexpr int LANES = 8, PIXELS = 3;
#elif defined(__aarch64__)
constexpr int LANES = 4, PIXELS = 6;
#else
constexpr int LANES = 4, PIXELS = 3;
#endif

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Lanes __attribute__((vector_size(4 * LANES)));  // of a comparison: -1 or 0

// Load a value that several multiplications need once: the compiler would load it for each of them.
inline void hold(Vector& value) {
#if defined(__AVX512F__)
    asm("" : "+v"(value));
#elif defined(__x86_64__)
    asm("" : "+x"(value));
#elif defined(__aarch64__)
    asm("" : "+w"(value));
#else
    (void)value;
#endif
}

inline Vector broadcast(float value) { return Vector{} + value; }

inline Vector positive(Vector values) { return values > Vector{} ? values : Vector{}; }

// A square of LANES vectors turned: lane x of vector k becomes lane k of vector x.
inline void transpose(Vector* square) {
#pragma GCC unroll 4
    for (int size = 1; size < LANES; size *= 2) {
        Lanes low, high;
        for (int lane = 0; lane < LANES; lane++) {
            low[lane] = lane & size ? LANES + lane - size : lane;
            high[lane] = lane & size ? LANES + lane : lane + size;
        }
#pragma GCC unroll 16
        for (int k = 0; k < LANES; k++) {
            if (k & size) continue;
            const Vector one = square[k], other = square[k + size];
            square[k] = __builtin_shuffle(one, other, low);
            square[k + size] = __builtin_shuffle(one, other, high);
        }
    }
}

// The sum of all lanes, always in the same order.
inline float total(Vector values) {
    float sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += values[lane];
    return sum;
}

}  // namespace native
