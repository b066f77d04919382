/* SPDX-License-Identifier: Apache-2.0 */
/* What networks quantised to uint8 need beside the other kernels. Their weights have a zero point; without it they
 * take nine bits, -255..255. The equations are those of lg_conv.h (no fused pool), lg_depthwise.h and lg_dense.h. For
 * any C99 target.
 *
 *   lg_wide_conv_row          int16_t [out_c][kernel_h][runs][run_bytes]
 *   lg_wide_depthwise_row     int16_t [kernel_h][kernel_w][out_c]
 *   lg_wide_dense_accumulate  int16_t [out_n][in_n] */
#ifndef LG_WIDE_H
#define LG_WIDE_H

#include <stdint.h>

#include "lg_conv.h"
#include "lg_dense.h"
#include "lg_depthwise.h"
#include "lg_mean.h"
#include "lg_pool.h"

#ifdef __cplusplus
extern "C" {
#endif

void lg_wide_conv_row(const lg_conv *layer, const int8_t *const *rows, int8_t *out);
void lg_wide_depthwise_row(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out);

/* layer->weights is not looked at. */
void lg_wide_dense_accumulate(const lg_dense *layer, const int8_t *in, uint32_t first, uint32_t n,
                              const int16_t *weights, int32_t *acc);

/* AVERAGE_POOL_2D: halves are rounded up, not away from zero. */
void lg_average_up_pool_row(const lg_pool *layer, const int8_t *const *rows, uint32_t row_count, int8_t *out);
void lg_average_up_finish(const lg_mean *layer, const int32_t *acc, int8_t act_min, int8_t act_max, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
