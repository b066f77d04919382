/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D, one row of output at a time, bit for bit the TFLite reference (BUILTIN_REF).
 *
 *   acc[c]    = bias[c] + sum over ky, r, i of rows[ky * row_step][x * x_step + r * run_step + i] * w[c][ky][r][i]
 *   out[x][c] = clamp(requantize(acc[c]) + out_zero_point, act_min, act_max)            (double rounding, lg_requant.h)
 *
 * The zero point of the input is folded into the bias: bias[c] - zero_point * (sum of c's weights). Padding is bytes of
 * the input's zero point that lie in the rows, so a kernel never tests for borders.
 *
 * A kernel row is `runs` runs of `run_bytes` input bytes, `run_step` apart: without dilation one run of
 * kernel_w * in_c bytes, with it kernel_w runs of in_c bytes. run_step is dilation_w * in_c either way.
 *
 * pool_h x pool_w > 1 fuses a max pool of that size and stride (no padding): the maximum of the accumulators is taken
 * before it is rescaled, which gives the same bytes because rescaling and clamping never decrease. Output pixel x then
 * covers windows x * pool_w ... x * pool_w + pool_w - 1 of pool_h rows of windows, `y_step` input rows apart.
 *
 * rows: (pool_h - 1) * y_step + (kernel_h - 1) * row_step + 1 pointers. rows[i] is the first byte of padded input
 * row i: the pixel that the leftmost window begins with. Rows are readable for LG_ROW_SLACK bytes past the last window.
 * They may have any alignment and may be equal. out: out_w * out_c bytes, apart from the rows. Nothing is checked.
 *
 * run_bytes > 0. Four kernels compute the same; each has its own layout of the weights, which export/plan/layouts.py
 * writes:
 *   lg_conv_row          any C99 target   int8_t,  four channels interleaved, from the address of a word on
 *   lg_conv_row_dsp      M4, M7, M33      int32_t, four weights each, two channels interleaved (lg_dsp_sum.h)
 *   lg_winograd_row_dsp  M4, M7, M33      int32_t, pairs of sums of weights, [ceil(out_c / 4)][steps][4]
 *   lg_conv_row_mve      M55              int8_t,  16 weights of each of four channels; int32_t [(out_c + 3) / 4][3][4],
 *                                         biases, multipliers and shifts of four channels
 * The last three further demand |acc| * 2^max(shift, 0) < 2^30 for all inputs, and take up to 3.6 KiB of stack;
 * lg_conv_row_dsp also that no weight is -128, and that its biases have 127 of each odd weight of a quad.
 * lg_winograd_row_dsp is for kernels of 3x3 or 5x5 under a pool of 2x2, strides and dilations of 1, shifts in -22..-1, and
 * inputs of at most LG_WINOGRAD_MOST_3 or _5 channels. */
#ifndef LG_CONV_H
#define LG_CONV_H

#include <stdint.h>

#include "lg_requant.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that must be readable past the last byte a row's windows cover. */
#define LG_ROW_SLACK 3u

/* Bytes beyond the whole words of a run, 1 or 2, which lg_conv_row_dsp has behind those of all runs; else 0. Not of
 * windows of more than LG_TAIL_MOST bytes. */
enum { LG_TAIL_MOST = 256 };
#define LG_TAIL(kernel_h, runs, run_bytes)                                                                           \
    ((runs) == 1u && (kernel_h) > 1u && (run_bytes) % 4u <= 2u && (kernel_h) * (run_bytes) <= (uint32_t)LG_TAIL_MOST \
         ? (run_bytes) % 4u                                                                                          \
         : 0u)

/* Channels of the input that lg_winograd_row_dsp has room for, of kernels of 3x3 and 5x5. */
enum { LG_WINOGRAD_MOST_3 = 20, LG_WINOGRAD_MOST_5 = 8 };

typedef struct {
    uint16_t out_w, out_c;
    uint16_t kernel_h;
    uint16_t row_step; /* dilation_h */
    uint16_t runs, run_bytes, run_step;
    uint16_t x_step; /* stride_w * in_c */
    uint16_t y_step; /* stride_h; only looked at when pool_h > 1 */
    uint8_t pool_h, pool_w;
    int16_t out_zero_point;
    int8_t act_min, act_max;
    uint8_t any_shift; /* not all shifts are in -22..-1, which takes longer */
    const void *weights;
    const void *channels; /* [out_c] of lg_channel, for _dsp of lg_dsp_channel, for _mve as above */
} lg_conv;

void lg_conv_row(const lg_conv *layer, const int8_t *const *rows, int8_t *out);
void lg_conv_row_dsp(const lg_conv *layer, const int8_t *const *rows, int8_t *out);
void lg_winograd_row_dsp(const lg_conv *layer, const int8_t *const *rows, int8_t *out);
void lg_conv_row_mve(const lg_conv *layer, const int8_t *const *rows, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
