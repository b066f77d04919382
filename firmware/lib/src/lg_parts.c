/* SPDX-License-Identifier: Apache-2.0 */
/* A part is walked as a line of its own with a column more on either side, so that its own columns have their
 * neighbours. What the walk makes of those two is put right: the level to the left, which is done, and the code of the
 * line above to the right, which the next part needs. */
#include "lg_parts.h"

void lg_parts_start(lg_parts *state, const lg_raw_format *raw, const void *rule, lg_line_walk *walk, void *memory)
{
    lg_line_store store;
    lg_line_store_start(&store, raw, rule, walk, memory);
    state->rule = rule;
    state->walk = walk;
    state->memory = memory;
    lg_parts_restart(state);
}

void lg_parts_restart(lg_parts *state)
{
    state->line = NULL;
    state->lines = 0;
    state->part = 0;
}

lg_status lg_parts_take(lg_parts *state, const lg_raw_format *raw, const void *line, uint32_t width)
{
    if (line == NULL) {
        return LG_ERROR_NULL;
    }
    if (width != raw->width) {
        return width < raw->width ? LG_ERROR_LINE_NARROW : LG_ERROR_LINE_WIDE;
    }
    if (!lg_aligned(line, raw->code_bytes)) {
        return LG_ERROR_ALIGNMENT;
    }
    if (state->lines == raw->height) {
        return LG_ERROR_TOO_MANY_LINES;
    }
    state->line = line;
    return LG_WORK;
}

static uint8_t *slot(const lg_parts *state, const lg_raw_format *raw, uint32_t line)
{
    return (uint8_t *)state->memory + (line & 1u) * raw->width * raw->code_bytes;
}

static void walk_part(const lg_parts *state, const lg_raw_format *raw, uint8_t *up, const uint8_t *mid,
                      const uint8_t *down, uint32_t black, int8_t *out, uint32_t part, uint32_t of)
{
    const uint32_t size = raw->code_bytes, width = raw->width;
    const uint32_t begin = width * part / of, end = width * (part + 1u) / of;
    const uint32_t first = begin > 0u ? begin - 1u : 0u, last = end < width ? end + 1u : width;
    lg_raw_format columns = *raw;
    columns.width = (uint16_t)(last - first);
    const lg_line_store store = {.raw = &columns, .rule = state->rule};
    const lg_window window = {
        .up = up + first * size, .mid = mid + first * size, .down = down + first * size, .black = black};
    const int8_t level = out[first];
    const uint32_t code = lg_load_code(up, last - 1u, size);
    state->walk(&store, &window, out + first);
    if (begin > 0u) {
        out[first] = level;
    }
    if (end < width) {
        lg_store_code(up, end, size, code);
    }
}

/* The first or the last line of a frame. */
static void walk_border(const lg_parts *state, const lg_raw_format *raw, uint32_t line, int8_t *out, uint32_t part,
                        uint32_t of)
{
    uint8_t *const mid = slot(state, raw, line);
    walk_part(state, raw, mid, mid, mid, 0u, out, part, of);
}

lg_status lg_parts_step(lg_parts *state, const lg_raw_format *raw, int8_t *out, uint32_t of)
{
    const uint32_t y = state->lines, part = state->part;
    if (part < of) {
        walk_part(state, raw, slot(state, raw, y), slot(state, raw, y + 1u), state->line, raw->black, out, part, of);
    } else {
        walk_border(state, raw, 0u, out, part - of, of);
    }
    state->part = (uint16_t)(part + 1u);
    if (state->part < (y == 1u ? 2u * of : of)) {
        return LG_WORK;
    }
    state->part = 0;
    state->line = NULL;
    state->lines = (uint16_t)(y + 1u);
    return y == 0u ? LG_NO_LINE : LG_OK;
}

lg_status lg_parts_flush(lg_parts *state, const lg_raw_format *raw, int8_t *out, uint32_t of)
{
    walk_border(state, raw, state->lines + 1u, out, state->part, of);
    state->part = (uint16_t)(state->part + 1u);
    if (state->part < of) {
        return LG_WORK;
    }
    lg_parts_restart(state);
    return LG_OK;
}
