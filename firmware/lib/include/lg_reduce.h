/* SPDX-License-Identifier: Apache-2.0 */
/* MEAN over any sides of a map, a row of the input at a time. Byte (x, c) of row y is added to sum
 * y * y_step + x * x_step + c * c_step; a step is 0 along a side that the mean is taken over. Rescaling is that of
 * lg_mean.h. */
#ifndef LG_REDUCE_H
#define LG_REDUCE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint16_t pixels, channels; /* of a row of the input */
    uint32_t y_step, x_step, c_step;
    uint32_t outputs;
    uint32_t count; /* N: values of a mean, 1..2^23 */
    int16_t in_zero_point, out_zero_point;
    int32_t multiplier; /* 0..2^31-1, not necessarily >= 2^30 */
    int8_t shift;       /* -31..30 */
} lg_reduce;

/* begin clears sums[outputs], accumulate adds row y of raw int8, finish writes n outputs of as many sums. */
void lg_reduce_begin(const lg_reduce *layer, int32_t *sums);
void lg_reduce_accumulate(const lg_reduce *layer, const int8_t *in, uint32_t y, int32_t *sums);
void lg_reduce_finish(const lg_reduce *layer, const int32_t *sums, uint32_t n, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
