/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of two operands that broadcast, for any target: lg_pairs.h has the equations. */
#include "lg_pairs.h"

#include "lg_inline.h"
#include "lg_requant.h"

/* Of one value of each operand. */
typedef int8_t (*pair)(const lg_pairs *layer, int32_t a, int32_t b);

LG_INLINE void row(const lg_pairs *layer, pair of, const int8_t *a, const int8_t *b, int8_t *out)
{
    const lg_pairs l = *layer; /* which out could overlay, as far as the compiler knows */
    for (uint32_t x = 0; x < l.pixels; x++) {
        const int8_t *left = a, *right = b;
        for (uint32_t c = 0; c < l.channels; c++) {
            *out++ = of(&l, *left, *right);
            left += l.a_channel;
            right += l.b_channel;
        }
        a += l.a_pixel;
        b += l.b_pixel;
    }
}

LG_INLINE int8_t output(const lg_pairs *l, int32_t x)
{
    return lg_output_s8(x, l->out_zero_point, l->act_min, l->act_max);
}

LG_INLINE int32_t scaled_a(const lg_pairs *l, int32_t a)
{
    return lg_requant_double((a - l->a_zero_point) * (1 << 20), l->a_multiplier, l->a_shift);
}

LG_INLINE int32_t scaled_b(const lg_pairs *l, int32_t b)
{
    return lg_requant_double((b - l->b_zero_point) * (1 << 20), l->b_multiplier, l->b_shift);
}

LG_INLINE int8_t sum(const lg_pairs *l, int32_t a, int32_t b)
{
    return output(l, lg_requant_double(scaled_a(l, a) + scaled_b(l, b), l->out_multiplier, l->out_shift));
}

LG_INLINE int8_t difference(const lg_pairs *l, int32_t a, int32_t b)
{
    return output(l, lg_requant_double(scaled_a(l, a) - scaled_b(l, b), l->out_multiplier, l->out_shift));
}

LG_INLINE int8_t product(const lg_pairs *l, int32_t a, int32_t b)
{
    const int32_t whole = (a - l->a_zero_point) * (b - l->b_zero_point);
    return output(l, lg_requant_double(whole, l->out_multiplier, l->out_shift));
}

LG_INLINE int8_t maximum(const lg_pairs *l, int32_t a, int32_t b)
{
    (void)l;
    return (int8_t)(a > b ? a : b);
}

LG_INLINE int8_t minimum(const lg_pairs *l, int32_t a, int32_t b)
{
    (void)l;
    return (int8_t)(a < b ? a : b);
}

LG_INLINE int8_t prelu(const lg_pairs *l, int32_t a, int32_t b)
{
    const int32_t value = a - l->a_zero_point;
    const int32_t kept = lg_requant_double(value, l->a_multiplier, l->a_shift);
    const int32_t scaled = lg_requant_double(value * (b - l->b_zero_point), l->b_multiplier, l->b_shift);
    return output(l, value >= 0 ? kept : scaled);
}

void lg_sum_pairs(const lg_pairs *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    row(layer, sum, a, b, out);
}

void lg_difference_pairs(const lg_pairs *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    row(layer, difference, a, b, out);
}

void lg_product_pairs(const lg_pairs *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    row(layer, product, a, b, out);
}

void lg_maximum_pairs(const lg_pairs *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    row(layer, maximum, a, b, out);
}

void lg_minimum_pairs(const lg_pairs *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    row(layer, minimum, a, b, out);
}

void lg_prelu_pairs(const lg_pairs *layer, const int8_t *a, const int8_t *b, int8_t *out)
{
    row(layer, prelu, a, b, out);
}
