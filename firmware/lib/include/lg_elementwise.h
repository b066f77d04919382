/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that take a value at a time. All give the bytes of the TFLite reference (BUILTIN_REF), with double
 * rounding. */
#ifndef LG_ELEMENTWISE_H
#define LG_ELEMENTWISE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ADD of two tensors of one shape. With twice_max = 2 * max(s_a, s_b):
 *   a_multiplier, a_shift from s_a / twice_max, b_ likewise, out_ from twice_max / (2^20 * s_out). */
typedef struct {
    int16_t a_zero_point, b_zero_point, out_zero_point;
    int8_t act_min, act_max;
    int32_t a_multiplier, b_multiplier, out_multiplier; /* 0 or 2^30..2^31-1 */
    int8_t a_shift, b_shift, out_shift;                 /* a_, b_: -30..0; out_: -31..0 */
} lg_add;

/* n elements; out may be a or b. _dsp and _mve compute the same, fast where out_shift is -22..-1. */
void lg_add_row(const lg_add *layer, const int8_t *a, const int8_t *b, uint32_t n, int8_t *out);
void lg_add_row_dsp(const lg_add *layer, const int8_t *a, const int8_t *b, uint32_t n, int8_t *out);
void lg_add_row_mve(const lg_add *layer, const int8_t *a, const int8_t *b, uint32_t n, int8_t *out);

/* MUL by a constant of c values, repeated: out[i] = clamp(requantize((a[i] - zp_a) * b[i % c]) + zp_out). The
 * constant's zero point is folded into b. */
typedef struct {
    uint32_t c;
    int16_t a_zero_point, out_zero_point;
    int8_t act_min, act_max;
    int32_t multiplier; /* s_a * s_b / s_out, in float32; 0 or 2^30..2^31-1 */
    int8_t shift;       /* -31..30 */
    const int16_t *b;   /* -255..255 */
} lg_mul;

/* n a multiple of c; out may be a. */
void lg_mul_row(const lg_mul *layer, const int8_t *a, uint32_t n, int8_t *out);

/* Any operator of one input value: out[i] = table[in[i] + 128]. out may be in. */
void lg_lookup_row(const int8_t *table, const int8_t *in, uint32_t n, int8_t *out);

/* `pixels` pixels of `channels` bytes from pixels `in_step` bytes apart to pixels `out_step` bytes apart: concatenation
 * and padding of channels, columns and rows. in and out do not overlap. */
void lg_copy_pixels(const int8_t *in, uint32_t pixels, uint32_t channels, uint32_t in_step, uint32_t out_step,
                    int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
