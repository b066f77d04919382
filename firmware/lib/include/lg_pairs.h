/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of two operands that broadcast, one row of output at a time, bit for bit the TFLite reference
 * (BUILTIN_REF). With a = value - a_zero_point and b likewise:
 *
 *   sum, difference   requantize(a * 2^20 scaled by a_ +- b * 2^20 scaled by b_) scaled by out_
 *   product           requantize(a * b) scaled by out_
 *   maximum, minimum  of the bytes, which all have one scale and zero point
 *   prelu             a >= 0: requantize(a) scaled by a_;  a < 0: requantize(a * b) scaled by b_
 *
 * then out_zero_point is added and the result clamped. Rounding is double (lg_requant.h).
 *
 * An operand that has one column, or one channel, where the output has more is read again: its step is 0. One that has
 * one row is given again for every row. */
#ifndef LG_PAIRS_H
#define LG_PAIRS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint16_t pixels, channels;                          /* of a row of the output */
    uint16_t a_pixel, a_channel, b_pixel, b_channel;    /* bytes from one to the next, or 0 */
    int16_t a_zero_point, b_zero_point, out_zero_point; /* -128..127 */
    int8_t act_min, act_max;
    int32_t a_multiplier, b_multiplier, out_multiplier; /* 0 or 2^30..2^31-1 */
    int8_t a_shift, b_shift, out_shift;                 /* -31..30 */
} lg_pairs;

/* out: pixels * channels bytes; it may be an operand of that size. */
void lg_sum_pairs(const lg_pairs *layer, const int8_t *a, const int8_t *b, int8_t *out);
void lg_difference_pairs(const lg_pairs *layer, const int8_t *a, const int8_t *b, int8_t *out);
void lg_product_pairs(const lg_pairs *layer, const int8_t *a, const int8_t *b, int8_t *out);
void lg_maximum_pairs(const lg_pairs *layer, const int8_t *a, const int8_t *b, int8_t *out);
void lg_minimum_pairs(const lg_pairs *layer, const int8_t *a, const int8_t *b, int8_t *out);
void lg_prelu_pairs(const lg_pairs *layer, const int8_t *a, const int8_t *b, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
