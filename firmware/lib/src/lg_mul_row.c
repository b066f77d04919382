/* SPDX-License-Identifier: Apache-2.0 */
/* MUL by a repeated constant: out[i] = clamp(requantize((a[i] - zp_a) * b[i % c]) + zp_out). */
#include "lg_elementwise.h"
#include "lg_requant.h"

void lg_mul_row(const lg_mul *layer, const int8_t *a, uint32_t n, int8_t *out)
{
    const lg_mul l = *layer; /* which out could overlay, as far as the compiler knows */
    uint32_t c = 0;
    for (uint32_t i = 0; i < n; i++) {
        const int32_t product = (a[i] - l.a_zero_point) * l.b[c];
        const int32_t scaled = lg_requant_double(product, l.multiplier, l.shift);
        out[i] = lg_output_s8(scaled, l.out_zero_point, l.act_min, l.act_max);
        c = c + 1u < l.c ? c + 1u : 0u;
    }
}
