/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming log-gradient quantiser: RAW camera lines in, level lines out, one line later.
 *
 *   P = clip(raw - black, 0, white - black)
 *   q = sum_i [(U+c)(L+c) 2^S > K_i (D+c)(R+c)] - sum_i [(D+c)(R+c) 2^S > K_i (U+c)(L+c)]
 *
 * U D L R are the neighbours of a pixel, c the offset, K_i / 2^S the thresholds as ratios. Exact in
 * integers: no logarithm, division or float. A neighbour outside the image takes the value of the
 * opposite one; an image one pixel wide (high) has no gradient across (down).
 * The caller owns all memory. One frame: lg_quantizer_push for each of `height` lines (the first one
 * returns LG_NO_LINE, the others write the level line before), then lg_quantizer_flush for the last
 * level line; after that the next frame may be pushed. Every configuration error is a status. */
#ifndef LG_QUANTIZER_H
#define LG_QUANTIZER_H

#include <stddef.h>
#include <stdint.h>

#include "lg_line.h"
#include "lg_pack.h"
#include "lg_raw.h"
#include "lg_status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LG_MAX_THRESHOLDS 3u

/* Has the core a 32 x 32 -> 64 bit multiplication? Armv6-M and Armv8-M baseline have none. */
#if defined(__arm__) && defined(__thumb__) && (!defined(__thumb2__) || defined(__ARM_ARCH_8M_BASE__))
#define LG_LONG_MULTIPLY 0
#else
#define LG_LONG_MULTIPLY 1
#endif

typedef struct {
    lg_raw_format raw;
    uint32_t ratios[LG_MAX_THRESHOLDS]; /* K_i, 2^shift <= K_1 < K_2 < K_3 < 2^32 - 1 */
    uint8_t ratio_count;                /* n = 1, 2, 3: levels -n..n */
    uint8_t shift;                      /* S, 0..24, usually 12 */
    uint16_t offset;                    /* c, 1..65535, usually 1 */
    lg_packing packing;                 /* layout of the level lines; LG_PACK_S8 for int8_t[width] */
} lg_quantizer_config;

/* State. Fields are private. */
typedef struct {
    lg_line_store store;
} lg_quantizer;

/* Check a configuration without touching anything: LG_OK or the reason it is refused. */
lg_status lg_quantizer_check(const lg_quantizer_config *config);

/* Bytes of one level line in the configured packing. */
uint32_t lg_quantizer_line_bytes(const lg_quantizer_config *config);

/* Make `state` ready for a frame, by the fastest loop that is exact for `config`. memory: at least
 * LG_LINE_STORE_BYTES(width, code_bytes) bytes, aligned to code_bytes. Both are the caller's to keep until the last
 * use of `state`. */
lg_status lg_quantizer_init(lg_quantizer *state, const lg_quantizer_config *config, void *memory, size_t memory_size);

/* The loop that lg_quantizer_init takes. config: checked. */
lg_line_walk *lg_quantizer_walk(const lg_quantizer_config *config);

/* The loops: codes of 1 or 2 bytes, number of levels, packing where it is not LG_PACK_S8. All but lg_levels_any are for
 * S = 12, c = 1 and
 *   lg_levels_8_*      black = 0, no code above white, K span'^2 < 2^32
 *   lg_levels_8_*_cut  K span'^2 < 2^32, span' = span + 1
 *   lg_levels_16_*     span'^2 < 2^32; without LG_LONG_MULTIPLY also K span'^2 < 2^44 and K (2^12 - 1) < 2^32 */
lg_line_walk lg_levels_any;
lg_line_walk lg_levels_8_3, lg_levels_8_5, lg_levels_8_7;
lg_line_walk lg_levels_8_3_cut, lg_levels_8_5_cut, lg_levels_8_7_cut;
lg_line_walk lg_levels_16_3, lg_levels_16_5, lg_levels_16_7;
lg_line_walk lg_levels_8_3_2bit, lg_levels_8_3_base3, lg_levels_16_3_2bit, lg_levels_16_3_base3;

/* lg_quantizer_init without a check and with a loop chosen beforehand: a program that calls this links that loop alone.
 * For a configuration that is known to be good, as a generated one is. */
void lg_quantizer_start(lg_quantizer *state, const lg_quantizer_config *config, lg_line_walk *walk, void *memory);

/* Forget the lines of an unfinished frame. */
void lg_quantizer_restart(lg_quantizer *state);

/* Push a line of `width` codes (uint8_t or uint16_t as configured). Line 0: LG_NO_LINE, and
 * `levels` (lg_quantizer_line_bytes bytes) is overwritten with anything. Line y > 0: LG_OK, and `levels` holds level
 * line y - 1. `line` is aligned to code_bytes (LG_ERROR_ALIGNMENT) and must not overlap `levels`. */
lg_status lg_quantizer_push(lg_quantizer *state, const void *line, uint32_t width, void *levels);

/* After the last push: write level line height - 1 and make ready for the next frame. */
lg_status lg_quantizer_flush(lg_quantizer *state, void *levels);

#ifdef __cplusplus
}
#endif

#endif
