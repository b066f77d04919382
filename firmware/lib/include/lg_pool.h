/* SPDX-License-Identifier: Apache-2.0 */
/* MAX_POOL_2D and AVERAGE_POOL_2D by rows: scale and zero point of input and output are equal, channels too.
 * Padding is left out of the maximum and of the count; every window must hold at least one pixel of the image. */
#ifndef LG_POOL_H
#define LG_POOL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint16_t in_w, channels;
    uint16_t out_w;
    uint16_t kernel_w, stride_w, pad_left;
    int8_t act_min, act_max;
} lg_pool;

/* rows: the row_count (>= 1) rows of the window that lie in the image, each at its pixel 0. out: out_w * channels.
 * The mean is the integer sum divided by the number of pixels, half away from zero; at most 2^23 pixels. */
void lg_max_pool_row(const lg_pool *layer, const int8_t *const *rows, uint32_t row_count, int8_t *out);
void lg_average_pool_row(const lg_pool *layer, const int8_t *const *rows, uint32_t row_count, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
