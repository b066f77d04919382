/* SPDX-License-Identifier: Apache-2.0 */
/* Binning: k x k codes of the sensor to one pixel, row by row.
 *
 *   P = clip(raw - black, 0, span), span = white - black
 *   pixel = floor((sum of k x k P + k k / 2) / (k k)),   rounded half up, 0..span
 *
 * With k = 2 on a Bayer mosaic, of whatever filter, this is the gray pixel (R + G1 + G2 + B) / 4. Columns and rows that
 * fill no square are left out: a row of w codes gives w / k pixels. One row of sums is all that is kept; the pixels
 * replace them. */
#ifndef LG_BIN_H
#define LG_BIN_H

#include <stdint.h>

#include "lg_raw.h"
#include "lg_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Elements of uint16_t for the sums of a row of `pixels`: 16 bits each, and 8 more for the _wide loops. */
#define LG_BIN_SUMS(pixels) ((uint32_t)(pixels))
#define LG_BIN_SUMS_WIDE(pixels) ((uint32_t)(pixels) + ((uint32_t)(pixels) + 1u) / 2u)

/* Take row `row` (0..k - 1) of a row of squares. LG_NO_LINE, or LG_OK with the last one: `sums` then begins with
 * raw->width / k pixels, of the type of the codes. raw: width of a row of codes; its height is not looked at. */
typedef lg_status lg_bin_loop(const lg_raw_format *raw, const void *codes, uint32_t row, uint16_t *sums);

/* The loops: k, bytes of a code. The sums of k - 1 rows lie in 16 bits: k (k - 1) span <= 65535 for those that are not
 * _wide. */
lg_bin_loop lg_bin_2_8, lg_bin_2_16, lg_bin_2_16_wide;
lg_bin_loop lg_bin_4_8, lg_bin_4_16, lg_bin_4_16_wide;

/* A loop behind its checks: `count` codes, aligned to code_bytes. LG_ERROR_NULL, LG_ERROR_LINE_NARROW,
 * LG_ERROR_LINE_WIDE, LG_ERROR_ALIGNMENT: nothing was done. */
lg_status lg_bin_push(const lg_raw_format *raw, lg_bin_loop *loop, const void *codes, uint32_t count, uint32_t row,
                      uint16_t *sums);

#ifdef __cplusplus
}
#endif

#endif
