/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED on M55: sixteen inputs of four outputs at a time. */
#include "lg_dense.h"
#include "lg_mve.h"

#if defined(__ARM_FEATURE_MVE)

enum { OUTPUTS = 4 };

void lg_dense_accumulate_mve(const lg_dense *layer, const int8_t *in, uint32_t first, uint32_t n, int32_t *acc)
{
    const int8_t *weights = (const int8_t *)layer->weights + first;
    for (uint32_t o = 0; o < layer->out_n; o += OUTPUTS) {
        /* Where fewer than four outputs are left, the last one is computed again and not kept. */
        const uint32_t left = layer->out_n - o;
        const uint32_t step_b = left > 1u ? layer->in_n : 0u, step_c = left > 2u ? layer->in_n : 0u;
        const int8_t *x = in, *a = weights, *b = a + step_b, *c = b + step_c;
        const int8_t *d = c + (left > 3u ? layer->in_n : 0u);
        int32_t sum_a = 0, sum_b = 0, sum_c = 0, sum_d = 0;
        /* Sums live in even registers; lanes beyond the last input are left out. */
        __asm__ volatile("wlstp.8 lr, %[n], 2f\n"
                         "1:\n\t"
                         "vldrb.8 q0, [%[x]], #16\n\t"
                         "vldrb.8 q1, [%[a]], #16\n\t"
                         "vldrb.8 q2, [%[b]], #16\n\t"
                         "vmladava.s8 %[sum_a], q0, q1\n\t"
                         "vldrb.8 q1, [%[c]], #16\n\t"
                         "vmladava.s8 %[sum_b], q0, q2\n\t"
                         "vldrb.8 q2, [%[d]], #16\n\t"
                         "vmladava.s8 %[sum_c], q0, q1\n\t"
                         "vmladava.s8 %[sum_d], q0, q2\n\t"
                         "letp lr, 1b\n"
                         "2:"
                         : [x] "+r"(x), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [sum_a] "+Te"(sum_a),
                           [sum_b] "+Te"(sum_b), [sum_c] "+Te"(sum_c), [sum_d] "+Te"(sum_d)
                         : [n] "r"(n)
                         : "lr", "q0", "q1", "q2", "cc", "memory");
        acc[o] += sum_a;
        if (left > 1u) {
            acc[o + 1u] += sum_b;
        }
        if (left > 2u) {
            acc[o + 2u] += sum_c;
        }
        if (left > 3u) {
            acc[o + 3u] += sum_d;
        }
        weights += OUTPUTS * layer->in_n;
    }
}

#else
typedef int lg_dense_mve_is_left_out;
#endif
