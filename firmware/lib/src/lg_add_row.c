/* SPDX-License-Identifier: Apache-2.0 */
/* ADD on any core: both inputs times 2^20 to one scale of 1 / twice_max, their sum to the scale of the output. */
#include "lg_elementwise.h"
#include "lg_requant.h"

void lg_add_row(const lg_add *layer, const int8_t *a, const int8_t *b, uint32_t n, int8_t *out)
{
    const lg_add l = *layer; /* which out could overlay, as far as the compiler knows */
    for (uint32_t i = 0; i < n; i++) {
        const int32_t left = (a[i] - l.a_zero_point) * (1 << 20);
        const int32_t right = (b[i] - l.b_zero_point) * (1 << 20);
        const int32_t sum =
            lg_requant_double(left, l.a_multiplier, l.a_shift) + lg_requant_double(right, l.b_multiplier, l.b_shift);
        const int32_t scaled = lg_requant_double(sum, l.out_multiplier, l.out_shift);
        out[i] = lg_output_s8(scaled, l.out_zero_point, l.act_min, l.act_max);
    }
}
