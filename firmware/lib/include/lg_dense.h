/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED, for an input that arrives in pieces. Scales are whole doubles and rounding is single
 * (lg_requant_single in lg_requant.h): s_in * s_weights / s_out = (multiplier + fraction * 2^-22) * 2^(shift - 31).
 * The zero point of the input is folded into the bias. */
#ifndef LG_DENSE_H
#define LG_DENSE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int32_t multiplier; /* rounded down */
    uint32_t fraction;  /* the next 22 bits of the mantissa */
    int32_t shift;
} lg_double_scale;

typedef struct {
    uint32_t in_n;  /* inputs, >= 1 */
    uint32_t out_n; /* outputs, >= 1 */
    int16_t out_zero_point;
    int8_t act_min, act_max;
    uint8_t per_channel;           /* 0: one scale for all outputs; 1: [out_n] */
    const void *weights;           /* int8_t [out_n][in_n]; of _dsp: below */
    const int32_t *bias;           /* [out_n] */
    const lg_double_scale *scales; /* [1] or [out_n] */
} lg_dense;

/* begin sets acc[out_n] to the biases, accumulate adds inputs first .. first + n - 1 (each input once, any order),
 * finish writes out[out_n]. in may have any alignment.
 *
 * _dsp takes pieces of one length only, for which weights, int32_t of four each (lg_dsp_sum.h), are laid out:
 * [(out_n + 1) / 2][pieces][(n + 3) / 4][2]. None is -128, and the biases have 127 of each odd weight of a piece. */
void lg_dense_begin(const lg_dense *layer, int32_t *acc);
void lg_dense_accumulate(const lg_dense *layer, const int8_t *in, uint32_t first, uint32_t n, int32_t *acc);
void lg_dense_accumulate_dsp(const lg_dense *layer, const int8_t *in, uint32_t first, uint32_t n, int32_t *acc);
void lg_dense_accumulate_mve(const lg_dense *layer, const int8_t *in, uint32_t first, uint32_t n, int32_t *acc);
void lg_dense_finish(const lg_dense *layer, const int32_t *acc, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
