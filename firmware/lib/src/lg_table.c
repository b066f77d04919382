#include "lg_table.h"

#include "lg_line.h"
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
    state->table = table;
    return lg_line_store_init(&state->store, raw, memory, memory_size);
}

void lg_table_gradient_restart(lg_table_gradient *state)
{
    state->store.lines = 0;
}

static void gradient_line(const lg_table_gradient *state, const lg_window *window, int8_t *out)
{
    const lg_raw_format *raw = &state->store.raw;
    const int16_t *table = state->table;
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
        out[x] = lg_clamp_s8(lg_floor_shift(g + ROUND, SHIFT), -128, 127);
        left = here;
        here = right;
    }
}

lg_status lg_table_gradient_push(lg_table_gradient *state, const void *line, uint32_t width, int8_t *out)
{
    if (state == NULL || line == NULL || out == NULL) {
        return LG_ERROR_NULL;
    }
    lg_window window;
    const lg_status status = lg_line_store_push(&state->store, line, width, &window);
    if (status == LG_OK) {
        gradient_line(state, &window, out);
    }
    return status;
}

lg_status lg_table_gradient_flush(lg_table_gradient *state, int8_t *out)
{
    if (state == NULL || out == NULL) {
        return LG_ERROR_NULL;
    }
    lg_window window;
    const lg_status status = lg_line_store_flush(&state->store, &window);
    if (status == LG_OK) {
        gradient_line(state, &window, out);
    }
    return status;
}
