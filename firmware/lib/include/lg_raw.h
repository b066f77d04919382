/* SPDX-License-Identifier: Apache-2.0 */
/* RAW lines: what a camera sends, and the linear codes P = clip(code - black, 0, span), span = white - black, in it.
 *
 * A line is `width` codes, uint8_t or uint16_t in native byte order, at an address that is a multiple of code_bytes.
 * Lines of P are laid out in the same way. */
#ifndef LG_RAW_H
#define LG_RAW_H

#include <stdbool.h>
#include <stdint.h>

#include "lg_status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint16_t width;     /* pixels a line, 1..65535 */
    uint16_t height;    /* lines a frame, 1..65535 */
    uint8_t bits;       /* B, 8..16 */
    uint8_t code_bytes; /* 1: lines are uint8_t[width] (B = 8 only); 2: uint16_t[width] */
    uint16_t black;     /* code of no light */
    uint16_t white;     /* code of saturation, black < white <= 2^B - 1 */
} lg_raw_format;

/* LG_OK, LG_ERROR_WIDTH, LG_ERROR_HEIGHT, LG_ERROR_CODES or LG_ERROR_LEVELS. */
lg_status lg_raw_check(const lg_raw_format *raw);

static inline uint32_t lg_load_code(const void *line, uint32_t x, uint32_t code_bytes)
{
    return code_bytes == 1u ? ((const uint8_t *)line)[x] : ((const uint16_t *)line)[x];
}

static inline void lg_store_code(void *line, uint32_t x, uint32_t code_bytes, uint32_t code)
{
    if (code_bytes == 1u) {
        ((uint8_t *)line)[x] = (uint8_t)code;
    } else {
        ((uint16_t *)line)[x] = (uint16_t)code;
    }
}

static inline bool lg_aligned(const void *line, uint32_t code_bytes)
{
    return ((uintptr_t)line & (code_bytes - 1u)) == 0u; /* code_bytes is 1 or 2 */
}

/* P of a code. */
static inline uint32_t lg_linear(uint32_t code, uint32_t black, uint32_t span)
{
    const uint32_t p = code > black ? code - black : 0u;
    return p < span ? p : span;
}

#ifdef __cplusplus
}
#endif

#endif
