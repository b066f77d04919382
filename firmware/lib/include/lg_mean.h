/* SPDX-License-Identifier: Apache-2.0 */
/* MEAN over height and width (global average), row by row. With s_in / s_out = m * 2^(e - 31) and N pixels:
 *   k = min(floor(log2(N)), 32, 31 + e);  multiplier = floor(m * 2^k / N);  shift = e - k. Rounding is double. */
#ifndef LG_MEAN_H
#define LG_MEAN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t pixels; /* N = H * W, 1..2^23 */
    uint16_t channels;
    int16_t in_zero_point, out_zero_point;
    int32_t multiplier; /* 0..2^31-1, not necessarily >= 2^30 */
    int8_t shift;       /* -31..30 */
} lg_mean;

/* begin clears acc[channels], accumulate adds `pixels` pixels of raw int8, finish takes N zero points off and writes
 * out[channels]. */
void lg_mean_begin(const lg_mean *layer, int32_t *acc);
void lg_mean_accumulate(const lg_mean *layer, const int8_t *in, uint32_t pixels, int32_t *acc);
void lg_mean_finish(const lg_mean *layer, const int32_t *acc, int8_t *out);

/* The end of an AVERAGE_POOL_2D whose window is the whole map: the integer sum divided by N, half away from zero. Of
 * the layer only pixels and channels count. */
void lg_average_finish(const lg_mean *layer, const int32_t *acc, int8_t act_min, int8_t act_max, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
