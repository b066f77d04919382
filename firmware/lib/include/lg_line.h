/* SPDX-License-Identifier: Apache-2.0 */
/* Line store: the two newest lines of a frame as linear codes, from which a rule makes one line of output a line later.
 * The quantiser and the table gradient are rules. Programs call those (lg_quantizer.h, lg_table.h); of this header they
 * need LG_LINE_STORE_BYTES. */
#ifndef LG_LINE_H
#define LG_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "lg_raw.h"
#include "lg_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of memory for a store of this width: two lines of codes. */
#define LG_LINE_STORE_BYTES(width, code_bytes) (2u * (uint32_t)(width) * (uint32_t)(code_bytes))

/* The three lines of one line of output. For the first and the last line of a frame up, mid and down are all
 * the middle line: equal neighbours above and below cancel, which is what the mirrored border gives. */
typedef struct {
    void *up;         /* P of the line above; overwritten with P of the line below */
    const void *mid;  /* P of the line itself */
    const void *down; /* codes of the line below, `black` to be subtracted */
    uint32_t black;
} lg_window;

typedef struct lg_line_store lg_line_store;

/* Make a line of the three round it, and keep the newest of them: one loop over the pixels. */
typedef void lg_line_walk(const lg_line_store *store, const lg_window *window, void *out);

/* Fields are private. */
struct lg_line_store {
    const lg_raw_format *raw;
    const void *rule; /* what `walk` works by: lg_quantizer_config, or a table */
    lg_line_walk *walk;
    void *memory;
    uint16_t lines; /* lines pushed in this frame */
};

/* What lg_line_store_start takes for granted: LG_OK, LG_ERROR_NULL, or LG_ERROR_MEMORY for memory that is smaller than
 * LG_LINE_STORE_BYTES or not aligned to a code. */
lg_status lg_line_memory_check(const lg_raw_format *raw, const void *memory, size_t memory_size);

/* No lines yet, and P = 0 in those that are not there. */
void lg_line_store_start(lg_line_store *store, const lg_raw_format *raw, const void *rule, lg_line_walk *walk,
                         void *memory);

/* Push a line of `width` codes. Line 0: LG_NO_LINE, and `out` is overwritten with anything. Line y > 0: LG_OK, and
 * `out` holds output line y - 1. LG_ERROR_NULL, LG_ERROR_LINE_NARROW, LG_ERROR_LINE_WIDE, LG_ERROR_ALIGNMENT,
 * LG_ERROR_TOO_MANY_LINES: nothing was done. */
lg_status lg_line_store_push(lg_line_store *store, const void *line, uint32_t width, void *out);

/* After the last push: make output line height - 1 and be ready for the next frame. LG_ERROR_NULL,
 * LG_ERROR_TOO_FEW_LINES: nothing was done. */
lg_status lg_line_store_flush(lg_line_store *store, void *out);

#ifdef __cplusplus
}
#endif

#endif
