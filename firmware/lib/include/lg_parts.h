/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of lg_line.h in parts, some columns a call: for programs in which no call may block for long. The bytes are
 * those of whole lines. A frame: for each line lg_parts_take, then lg_parts_step while it gives LG_WORK; behind the last
 * line lg_parts_flush in the same way. */
#ifndef LG_PARTS_H
#define LG_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lg_line.h"
#include "lg_raw.h"
#include "lg_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* State. Fields are private. The format, which is the same for all calls, is the caller's. */
typedef struct {
    const void *line; /* that was taken and is not done, or NULL */
    const void *rule;
    lg_line_walk *walk; /* writes a byte for each pixel */
    void *memory;
    uint16_t lines; /* done in this frame */
    uint16_t part;
} lg_parts;

/* As lg_line_store_start. */
void lg_parts_start(lg_parts *state, const lg_raw_format *raw, const void *rule, lg_line_walk *walk, void *memory);

/* Forget the lines of an unfinished frame. */
void lg_parts_restart(lg_parts *state);

/* Is there a line that was taken and is not done? */
static inline bool lg_parts_busy(const lg_parts *state)
{
    return state->line != NULL;
}

/* Take a line of `width` codes, which must stay as it is until it is done. LG_WORK, or an error of lg_line_store_push;
 * the line before is done. */
lg_status lg_parts_take(lg_parts *state, const lg_raw_format *raw, const void *line, uint32_t width);

/* One of the parts of the line that was taken; `of`, 1 to the width, is the same for all of them. LG_WORK, or what
 * lg_line_store_push gives with the last. Line 1 has twice as many. out: int8_t[width], the same for all parts. */
lg_status lg_parts_step(lg_parts *state, const lg_raw_format *raw, int8_t *out, uint32_t of);

/* One of the parts of the last line of output, when all lines are done. LG_WORK, or LG_OK with the last. */
lg_status lg_parts_flush(lg_parts *state, const lg_raw_format *raw, int8_t *out, uint32_t of);

#ifdef __cplusplus
}
#endif

#endif
