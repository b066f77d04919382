#include "lg_line.h"

lg_status lg_raw_check(const lg_raw_format *raw)
{
    if (raw->width == 0u) {
        return LG_ERROR_WIDTH;
    }
    if (raw->height == 0u) {
        return LG_ERROR_HEIGHT;
    }
    if (raw->bits < 8u || raw->bits > 16u || raw->code_bytes < 1u || raw->code_bytes > 2u ||
        raw->bits > 8u * raw->code_bytes) {
        return LG_ERROR_CODES;
    }
    if (raw->black >= raw->white || raw->white > (1u << raw->bits) - 1u) {
        return LG_ERROR_LEVELS;
    }
    return LG_OK;
}

lg_status lg_line_store_init(lg_line_store *store, const lg_raw_format *raw, void *memory, size_t memory_size)
{
    if (memory == NULL) {
        return LG_ERROR_NULL;
    }
    if (memory_size < LG_QUANTIZER_BYTES(raw->width, raw->code_bytes) || !lg_aligned(memory, raw->code_bytes)) {
        return LG_ERROR_MEMORY;
    }
    store->raw = *raw;
    store->memory = memory;
    store->lines = 0;
    store->newest = 0;
    return LG_OK;
}

static void *stored_line(const lg_line_store *store, uint32_t which)
{
    return (uint8_t *)store->memory + which * store->raw.width * store->raw.code_bytes;
}

static void keep(lg_line_store *store, const void *line)
{
    const lg_raw_format *raw = &store->raw;
    const uint32_t span = (uint32_t)raw->white - raw->black;
    void *slot = stored_line(store, store->newest);
    for (uint32_t x = 0; x < raw->width; x++) {
        const uint32_t code = lg_load_code(line, x, raw->code_bytes);
        lg_store_code(slot, x, raw->code_bytes, lg_linear(code, raw->black, span));
    }
}

static void border_window(const lg_line_store *store, uint32_t which, lg_window *window)
{
    window->up = stored_line(store, which);
    window->mid = window->up;
    window->down = window->up;
    window->black = 0;
}

lg_status lg_line_store_push(lg_line_store *store, const void *line, uint32_t width, lg_window *window)
{
    if (width != store->raw.width) {
        return width < store->raw.width ? LG_ERROR_LINE_NARROW : LG_ERROR_LINE_WIDE;
    }
    if (!lg_aligned(line, store->raw.code_bytes)) {
        return LG_ERROR_ALIGNMENT;
    }
    if (store->lines == store->raw.height) {
        return LG_ERROR_TOO_MANY_LINES;
    }
    const uint32_t mid = store->newest;
    store->lines++;
    store->newest ^= 1u;
    if (store->lines <= 2u) {
        keep(store, line);
        border_window(store, mid, window);
        return store->lines == 1u ? LG_NO_LINE : LG_OK;
    }
    window->up = stored_line(store, store->newest);
    window->mid = stored_line(store, mid);
    window->down = line;
    window->black = store->raw.black;
    return LG_OK;
}

lg_status lg_line_store_flush(lg_line_store *store, lg_window *window)
{
    if (store->lines != store->raw.height) {
        return LG_ERROR_TOO_FEW_LINES;
    }
    border_window(store, store->newest, window);
    store->lines = 0;
    return LG_OK;
}
