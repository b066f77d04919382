/* RAW lines as the front ends keep them: linear codes P, two lines, the newest overwriting the oldest.
 * Private to the library. */
#ifndef LG_LINE_H
#define LG_LINE_H

#include <stdbool.h>

#include "lg_quantizer.h"

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

/* P = clip(code - black, 0, span) */
static inline uint32_t lg_linear(uint32_t code, uint32_t black, uint32_t span)
{
    const uint32_t p = code > black ? code - black : 0u;
    return p < span ? p : span;
}

/* The three lines of one level line. For the first and the last line of a frame up, mid and down are all
 * the middle line: equal neighbours above and below cancel, which is what the mirrored border gives. */
typedef struct lg_window {
    void *up;         /* P of the line above; overwritten with P of the line below */
    const void *mid;  /* P of the line itself */
    const void *down; /* codes of the line below, `black` to be subtracted */
    uint32_t black;
} lg_window;

lg_status lg_raw_check(const lg_raw_format *raw);

/* What lg_line_store_start takes for granted. */
lg_status lg_line_memory_check(const lg_raw_format *raw, const void *memory, size_t memory_size);

/* No lines yet, and P = 0 in those that are not there. */
void lg_line_store_start(lg_line_store *store, const lg_raw_format *raw, const void *rule, lg_line_walk *walk,
                         void *memory);

/* lg_quantizer_push and lg_quantizer_flush. */
lg_status lg_line_store_push(lg_line_store *store, const void *line, uint32_t width, void *out);
lg_status lg_line_store_flush(lg_line_store *store, void *out);

#endif
