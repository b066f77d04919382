/* SPDX-License-Identifier: Apache-2.0 */
/* Line y of a frame lies in slot y mod 2, where line y - 2 was. Whoever walks the window of level line y - 1 replaces
 * the one by the other. Lines 0 and 1 are stored in the same way; what their walks write to `out` is nobody's level
 * line: after line 1 it is overwritten with level line 0. */
#include "lg_line.h"

lg_status lg_line_memory_check(const lg_raw_format *raw, const void *memory, size_t memory_size)
{
    if (memory == NULL) {
        return LG_ERROR_NULL;
    }
    if (memory_size < LG_LINE_STORE_BYTES(raw->width, raw->code_bytes) || !lg_aligned(memory, raw->code_bytes)) {
        return LG_ERROR_MEMORY;
    }
    return LG_OK;
}

void lg_line_store_start(lg_line_store *store, const lg_raw_format *raw, const void *rule, lg_line_walk *walk,
                         void *memory)
{
    volatile uint8_t *byte = memory; /* volatile: a loop, not a call of the C library */
    for (uint32_t left = LG_LINE_STORE_BYTES(raw->width, raw->code_bytes); left > 0u; left--) {
        *byte++ = 0u;
    }
    store->raw = raw;
    store->rule = rule;
    store->walk = walk;
    store->memory = memory;
    store->lines = 0;
}

static void *slot(const lg_line_store *store, uint32_t line)
{
    return (uint8_t *)store->memory + (line & 1u) * store->raw->width * store->raw->code_bytes;
}

/* The first or the last line of a frame. */
static void walk_border(const lg_line_store *store, uint32_t line, void *out)
{
    void *const mid = slot(store, line);
    const lg_window window = {.up = mid, .mid = mid, .down = mid, .black = 0u};
    store->walk(store, &window, out);
}

lg_status lg_line_store_push(lg_line_store *store, const void *line, uint32_t width, void *out)
{
    if (line == NULL || out == NULL) {
        return LG_ERROR_NULL;
    }
    const lg_raw_format *const raw = store->raw;
    if (width != raw->width) {
        return width < raw->width ? LG_ERROR_LINE_NARROW : LG_ERROR_LINE_WIDE;
    }
    if (!lg_aligned(line, raw->code_bytes)) {
        return LG_ERROR_ALIGNMENT;
    }
    const uint32_t y = store->lines;
    if (y == raw->height) {
        return LG_ERROR_TOO_MANY_LINES;
    }
    store->lines = (uint16_t)(y + 1u);
    const lg_window window = {.up = slot(store, y), .mid = slot(store, y + 1u), .down = line, .black = raw->black};
    store->walk(store, &window, out);
    if (y == 1u) {
        walk_border(store, 0u, out);
    }
    return y == 0u ? LG_NO_LINE : LG_OK;
}

lg_status lg_line_store_flush(lg_line_store *store, void *out)
{
    if (out == NULL) {
        return LG_ERROR_NULL;
    }
    if (store->lines != store->raw->height) {
        return LG_ERROR_TOO_FEW_LINES;
    }
    walk_border(store, store->lines + 1u, out);
    store->lines = 0;
    return LG_OK;
}
