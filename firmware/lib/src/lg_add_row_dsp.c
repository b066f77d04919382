/* SPDX-License-Identifier: Apache-2.0 */
/* ADD on M4, M7, M33. The input of the larger scale is scaled by 1/2, exactly; with d = b - zero_point of the other
 *
 *   high  = floor((d * 2^21 * multiplier_b + 2^31) / 2^32)                                          (SMMULR)
 *   twice = (a - zero_point_a) * 2^20 + 2 * ((high - (high < 0) + 2^(right_b - 1)) >> right_b)
 *
 * and `twice` is rescaled likewise, the zero point of the output being added before the shift. Bounds narrower than
 * int8 are applied at the end. */
#include <stdbool.h>

#include "lg_bytes.h"
#include "lg_elementwise.h"

#ifdef LG_DSP

enum { HALF_MULTIPLIER = 1 << 30 };

typedef struct {
    int32_t exact, scaled;                  /* minus the zero points, times 2^20 and 2^21 */
    int32_t multiplier, half, right;        /* of b */
    int32_t out_multiplier, offset, lowest; /* of the sum */
} constants;

static inline int8_t add(const constants *k, int32_t a, int32_t b)
{
    const int32_t other = lg_rescale(k->scaled + b * (1 << 21), k->multiplier, k->half, k->right);
    const int32_t twice = k->exact + a * (1 << 20) + 2 * other;
    return (int8_t)lg_ssat8(lg_rescale(twice, k->out_multiplier, k->offset, k->lowest));
}

void lg_add_row_dsp(const lg_add *layer, const int8_t *a, const int8_t *b, uint32_t n, int8_t *out)
{
    const int32_t lowest = -layer->out_shift;
    const bool first = layer->a_shift == 0 && layer->a_multiplier == HALF_MULTIPLIER;
    const bool second = layer->b_shift == 0 && layer->b_multiplier == HALF_MULTIPLIER;
    if (!(first || second) || lowest < 1 || lowest > LG_MOST_RIGHT) {
        lg_add_row(layer, a, b, n, out);
        return;
    }
    constants k = {.exact = -layer->a_zero_point * (1 << 20),
                   .scaled = -layer->b_zero_point * (1 << 21),
                   .multiplier = layer->b_multiplier,
                   .right = -layer->b_shift,
                   .out_multiplier = layer->out_multiplier,
                   .offset = (1 + 2 * layer->out_zero_point) * (1 << (lowest - 1)),
                   .lowest = lowest};
    const int8_t *exact = a, *scaled = b;
    if (!first) {
        exact = b;
        scaled = a;
        k.exact = -layer->b_zero_point * (1 << 20);
        k.scaled = -layer->a_zero_point * (1 << 21);
        k.multiplier = layer->a_multiplier;
        k.right = -layer->a_shift;
    }
    if (k.right == 0) {
        /* 1/2 here too, or 0: a division by 1 would not round as above, one of twice as much by 2 does. */
        k.multiplier = k.multiplier == 0 ? 0 : INT32_MAX;
        k.right = 1;
    }
    k.half = 1 << (k.right - 1);
    const int8_t *const end = out + n;
    int8_t *to = out;
    if (n % 2u == 1u) {
        *to++ = add(&k, *exact++, *scaled++);
    }
    while (to != end) {
        const int8_t one = add(&k, exact[0], scaled[0]), two = add(&k, exact[1], scaled[1]);
        exact += 2;
        scaled += 2;
        to[0] = one;
        to[1] = two;
        to += 2;
    }
    lg_clamp_bytes(out, n, layer->act_min, layer->act_max);
}

#else
typedef int lg_add_row_dsp_is_left_out;
#endif
