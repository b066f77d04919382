/* SPDX-License-Identifier: Apache-2.0 */
#include "lg_table.h"

#include <stdbool.h>

#include "lg_requant.h"

enum { ROUND = 32, SHIFT = 6 }; /* 2^11 per unit of ln -> 2^5 per unit */

static bool table_fits(const lg_raw_format *raw, uint32_t table_length)
{
    return table_length == (uint32_t)raw->white - raw->black + 1u;
}

lg_status lg_table_line(const lg_raw_format *raw, const int8_t *table, uint32_t table_length, const void *line,
                        uint32_t width, int8_t *out)
{
    if (raw == NULL || table == NULL || line == NULL || out == NULL) {
        return LG_ERROR_NULL;
    }
    lg_raw_format one_line = *raw;
    one_line.height = 1;
    const lg_status checked = lg_raw_check(&one_line);
    if (checked != LG_OK) {
        return checked;
    }
    if (!table_fits(raw, table_length)) {
        return LG_ERROR_TABLE;
    }
    if (width != raw->width) {
        return width < raw->width ? LG_ERROR_LINE_NARROW : LG_ERROR_LINE_WIDE;
    }
    if (!lg_aligned(line, raw->code_bytes)) {
        return LG_ERROR_ALIGNMENT;
    }
    for (uint32_t x = 0; x < width; x++) {
        out[x] = table[lg_linear(lg_load_code(line, x, raw->code_bytes), raw->black, table_length - 1u)];
    }
    return LG_OK;
}

void lg_gradient_line(const lg_line_store *store, const lg_window *window, void *out)
{
    const lg_raw_format *raw = store->raw;
    const int16_t *table = store->rule;
    int8_t *gradient = out;
    const uint32_t code_bytes = raw->code_bytes;
    const uint32_t span = (uint32_t)raw->white - raw->black;
    const uint32_t last = raw->width - 1u;
    int32_t left = table[lg_load_code(window->mid, last > 0u ? 1u : 0u, code_bytes)];
    int32_t here = table[lg_load_code(window->mid, 0, code_bytes)];
    for (uint32_t x = 0; x <= last; x++) {
        const int32_t right = x < last ? table[lg_load_code(window->mid, x + 1u, code_bytes)] : left;
        const uint32_t u = lg_load_code(window->up, x, code_bytes);
        const uint32_t d = lg_linear(lg_load_code(window->down, x, code_bytes), window->black, span);
        lg_store_code(window->up, x, code_bytes, d);
        const int32_t g = table[u] + left - table[d] - right;
        *gradient++ = lg_clamp_s8(lg_floor_shift(g + ROUND, SHIFT), -128, 127);
        left = here;
        here = right;
    }
}

lg_status lg_table_gradient_init(lg_table_gradient *state, const lg_raw_format *raw, const int16_t *table,
                                 uint32_t table_length, void *memory, size_t memory_size)
{
    if (state == NULL || raw == NULL || table == NULL) {
        return LG_ERROR_NULL;
    }
    const lg_status checked = lg_raw_check(raw);
    if (checked != LG_OK) {
        return checked;
    }
    if (!table_fits(raw, table_length)) {
        return LG_ERROR_TABLE;
    }
    const lg_status stored = lg_line_memory_check(raw, memory, memory_size);
    if (stored == LG_OK) {
        lg_table_gradient_start(state, raw, table, memory);
    }
    return stored;
}

void lg_table_gradient_start(lg_table_gradient *state, const lg_raw_format *raw, const int16_t *table, void *memory)
{
    lg_line_store_start(&state->store, raw, table, lg_gradient_line, memory);
}

void lg_table_gradient_restart(lg_table_gradient *state)
{
    state->store.lines = 0;
}

lg_status lg_table_gradient_push(lg_table_gradient *state, const void *line, uint32_t width, int8_t *out)
{
    return state == NULL ? LG_ERROR_NULL : lg_line_store_push(&state->store, line, width, out);
}

lg_status lg_table_gradient_flush(lg_table_gradient *state, int8_t *out)
{
    return state == NULL ? LG_ERROR_NULL : lg_line_store_flush(&state->store, out);
}
