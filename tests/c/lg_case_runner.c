/* Runs library calls that the host describes and sends their outputs back, on a board or on the computer itself.
 *
 * A case is a word (operation), its parameters as 32-bit little-endian words, then its arrays; the answer is the
 * output arrays. Operation END ends the program with code 0. Codes 10..: input ended early (10), arena too
 * small (11), bytes next to an array were overwritten (12), unknown operation (13).
 * With LG_CASE_MALLOC every array is a heap block of its own, for the address sanitizer; otherwise arrays lie in
 * LG_CASE_ARENA bytes of static memory with guard bytes after each. */
#include <stdbool.h>
#include <string.h>

#include "lg_board.h"
#include "lg_crc32.h"
#include "lg_nn.h"
#include "lg_pack.h"
#include "lg_quantizer.h"
#include "lg_table.h"

enum { END, QUANTIZER, TABLE_LINE, TABLE_GRADIENT, PACK, UNPACK, CRC, MISUSE, FAULT };
enum { CONV = 16, DEPTHWISE, FULLY_CONNECTED, ADD, MAX_POOL, AVERAGE_POOL, MEAN, PAD, REQUANTIZE };
enum { MAX_WORDS = 24, GUARD = 8, GUARD_BYTE = 0xA5, MAX_ARRAYS = 16 };

static int32_t words[MAX_WORDS];

#ifdef LG_CASE_MALLOC
#include <stdlib.h>

static void *arrays[MAX_ARRAYS];
static uint32_t array_count;

static void *take(size_t size)
{
    void *block = malloc(size > 0u ? size : 1u);
    if (block == NULL || array_count == MAX_ARRAYS) {
        lg_board_exit(11);
    }
    memset(block, GUARD_BYTE, size);
    arrays[array_count++] = block;
    return block;
}

static void release_all(void)
{
    while (array_count > 0u) {
        free(arrays[--array_count]);
    }
}
#else
#ifndef LG_CASE_ARENA
#define LG_CASE_ARENA 4096
#endif

static union {
    uint64_t align;
    uint8_t bytes[LG_CASE_ARENA];
} arena __attribute__((section(".lg_state")));
static size_t arena_used, guards[MAX_ARRAYS];
static uint32_t array_count;

static void *take(size_t size)
{
    const size_t start = (arena_used + 7u) & ~(size_t)7u;
    if (start + size + GUARD > sizeof arena.bytes || array_count == MAX_ARRAYS) {
        lg_board_exit(11);
    }
    guards[array_count++] = start + size;
    memset(arena.bytes + start, GUARD_BYTE, size + GUARD);
    arena_used = start + size + GUARD;
    return arena.bytes + start;
}

static void release_all(void)
{
    while (array_count > 0u) {
        const uint8_t *guard = arena.bytes + guards[--array_count];
        for (int i = 0; i < GUARD; i++) {
            if (guard[i] != GUARD_BYTE) {
                lg_board_exit(12);
            }
        }
    }
    arena_used = 0;
}
#endif

static void read_into(void *data, size_t size)
{
    if (lg_board_read(data, size) != size) {
        lg_board_exit(10);
    }
}

static void *receive(size_t size)
{
    void *data = take(size);
    read_into(data, size);
    return data;
}

static void reply_word(uint32_t word)
{
    (void)lg_board_write(&word, sizeof word);
}

static uint32_t word(uint32_t i)
{
    return (uint32_t)words[i];
}

static lg_raw_format raw_format(void)
{
    const lg_raw_format raw = {(uint16_t)words[0], (uint16_t)words[1], (uint8_t)words[2],
                               (uint8_t)words[3],  (uint16_t)words[4], (uint16_t)words[5]};
    return raw;
}

/* words: raw format (6), ratios (3), count, shift, offset, packing, frames.
 * Answer: status of init; when LG_OK the level lines of every frame, and the ticks spent in push and flush. */
static void run_quantizer(void)
{
    read_into(words, 14u * sizeof words[0]);
    const lg_quantizer_config config = {.raw = raw_format(),
                                        .ratios = {word(6), word(7), word(8)},
                                        .ratio_count = (uint8_t)words[9],
                                        .shift = (uint8_t)words[10],
                                        .offset = (uint16_t)words[11],
                                        .packing = (lg_packing)words[12]};
    const size_t memory_size = LG_QUANTIZER_BYTES(config.raw.width, config.raw.code_bytes);
    lg_quantizer state;
    const lg_status status = lg_quantizer_init(&state, &config, take(memory_size), memory_size);
    reply_word((uint32_t)status);
    if (status != LG_OK) {
        return;
    }
    const size_t line_size = (size_t)config.raw.width * config.raw.code_bytes;
    const uint32_t level_size = lg_quantizer_line_bytes(&config);
    void *line = take(line_size);
    void *levels = take(level_size);
    uint32_t ticks = 0;
    for (int32_t frame = 0; frame < words[13]; frame++) {
        for (uint32_t y = 0; y <= config.raw.height; y++) {
            if (y < config.raw.height) {
                read_into(line, line_size);
            }
            const uint32_t start = lg_board_ticks();
            const lg_status got = y < config.raw.height ? lg_quantizer_push(&state, line, config.raw.width, levels)
                                                        : lg_quantizer_flush(&state, levels);
            ticks += lg_board_ticks() - start;
            if (got == LG_OK) {
                (void)lg_board_write(levels, level_size);
            }
        }
    }
    reply_word(ticks);
}

/* words: raw format (6), table length, lines; arrays: table, lines. Answer: status, output lines. */
static void run_table_line(void)
{
    read_into(words, 8u * sizeof words[0]);
    const lg_raw_format raw = raw_format();
    const int8_t *table = receive(word(6));
    void *line = take((size_t)raw.width * raw.code_bytes);
    int8_t *out = take(raw.width);
    for (int32_t y = 0; y < words[7]; y++) {
        read_into(line, (size_t)raw.width * raw.code_bytes);
        const lg_status status = lg_table_line(&raw, table, word(6), line, raw.width, out);
        reply_word((uint32_t)status);
        (void)lg_board_write(out, raw.width);
    }
}

/* words: raw format (6), table length, frames; arrays: table, frames. Answer: status, output frames. */
static void run_table_gradient(void)
{
    read_into(words, 8u * sizeof words[0]);
    const lg_raw_format raw = raw_format();
    const int16_t *table = receive(word(6) * sizeof *table);
    const size_t memory_size = LG_QUANTIZER_BYTES(raw.width, raw.code_bytes);
    lg_table_gradient state;
    const lg_status status = lg_table_gradient_init(&state, &raw, table, word(6), take(memory_size), memory_size);
    reply_word((uint32_t)status);
    if (status != LG_OK) {
        return;
    }
    void *line = take((size_t)raw.width * raw.code_bytes);
    int8_t *out = take(raw.width);
    for (int32_t frame = 0; frame < words[7]; frame++) {
        for (uint32_t y = 0; y < raw.height; y++) {
            read_into(line, (size_t)raw.width * raw.code_bytes);
            if (lg_table_gradient_push(&state, line, raw.width, out) == LG_OK) {
                (void)lg_board_write(out, raw.width);
            }
        }
        if (lg_table_gradient_flush(&state, out) == LG_OK) {
            (void)lg_board_write(out, raw.width);
        }
    }
}

/* words: packing, width; array: levels or packed bytes. Answer: status, packed bytes or levels. */
static void run_pack(bool pack)
{
    read_into(words, 2u * sizeof words[0]);
    const lg_packing packing = (lg_packing)words[0];
    const uint32_t packed_size = lg_packed_bytes(packing, word(1));
    const void *in = receive(pack ? word(1) : packed_size);
    void *out = take(pack ? packed_size : word(1));
    const lg_status status =
        pack ? lg_pack_levels(packing, in, word(1), out) : lg_unpack_levels(packing, in, word(1), out);
    reply_word((uint32_t)status);
    (void)lg_board_write(out, pack ? packed_size : word(1));
}

/* words: size; array: bytes. Answer: CRC of the whole, made of two pieces. */
static void run_crc(void)
{
    read_into(words, sizeof words[0]);
    const uint8_t *data = receive(word(0));
    const size_t half = word(0) / 2u;
    reply_word(lg_crc32(lg_crc32(0u, data, half), data + half, word(0) - half));
}

#define CHECK(condition)        \
    do {                        \
        if (!(condition)) {     \
            return __LINE__;    \
        }                       \
    } while (0)

/* Every refusal of the line interface. 0, or the line of the first check that failed. */
static int32_t misuse(void)
{
    const lg_quantizer_config good = {.raw = {4, 3, 10, 2, 16, 1023}, .ratios = {5529, 9000, 0}, .ratio_count = 2,
                                      .shift = 12, .offset = 1, .packing = LG_PACK_S8};
    uint16_t memory[9];
    const uint16_t line[4] = {16, 200, 1023, 512};
    int8_t levels[4], again[4];
    lg_quantizer state;
    CHECK(lg_quantizer_check(&good) == LG_OK);
    CHECK(lg_quantizer_check(NULL) == LG_ERROR_NULL);
    CHECK(lg_quantizer_init(NULL, &good, memory, sizeof memory) == LG_ERROR_NULL);
    CHECK(lg_quantizer_init(&state, NULL, memory, sizeof memory) == LG_ERROR_NULL);
    CHECK(lg_quantizer_init(&state, &good, NULL, sizeof memory) == LG_ERROR_NULL);
    CHECK(lg_quantizer_init(&state, &good, memory, 15) == LG_ERROR_MEMORY);
    CHECK(lg_quantizer_init(&state, &good, (uint8_t *)memory + 1, 16) == LG_ERROR_MEMORY);
    CHECK(lg_quantizer_init(&state, &good, memory, 16) == LG_OK);
    CHECK(lg_quantizer_push(NULL, line, 4, levels) == LG_ERROR_NULL);
    CHECK(lg_quantizer_push(&state, NULL, 4, levels) == LG_ERROR_NULL);
    CHECK(lg_quantizer_push(&state, line, 4, NULL) == LG_ERROR_NULL);
    CHECK(lg_quantizer_push(&state, line, 3, levels) == LG_ERROR_LINE_NARROW);
    CHECK(lg_quantizer_push(&state, line, 5, levels) == LG_ERROR_LINE_WIDE);
    const uint16_t longer[5] = {16, 200, 1023, 512, 300};
    const uint8_t *const odd = (const uint8_t *)longer + 1;
    CHECK(lg_quantizer_push(&state, odd, 4, levels) == LG_ERROR_ALIGNMENT);
    CHECK(lg_quantizer_flush(&state, levels) == LG_ERROR_TOO_FEW_LINES);
    CHECK(lg_quantizer_push(&state, line, 4, levels) == LG_NO_LINE);
    CHECK(lg_quantizer_push(&state, line, 4, levels) == LG_OK);
    CHECK(lg_quantizer_push(&state, line, 4, levels) == LG_OK);
    CHECK(lg_quantizer_push(&state, line, 4, levels) == LG_ERROR_TOO_MANY_LINES);
    CHECK(lg_quantizer_flush(NULL, levels) == LG_ERROR_NULL);
    CHECK(lg_quantizer_flush(&state, NULL) == LG_ERROR_NULL);
    CHECK(lg_quantizer_flush(&state, levels) == LG_OK);
    CHECK(lg_quantizer_push(&state, line, 4, again) == LG_NO_LINE); /* the next frame, given up */
    lg_quantizer_restart(&state);
    CHECK(lg_quantizer_push(&state, line, 4, again) == LG_NO_LINE);
    CHECK(lg_quantizer_push(&state, line, 4, again) == LG_OK);
    CHECK(lg_quantizer_push(&state, line, 4, again) == LG_OK);
    CHECK(memcmp(levels, again, sizeof levels) == 0);

    static const int16_t table[1008] = {0};
    lg_table_gradient gradient;
    CHECK(lg_table_gradient_init(&gradient, &good.raw, table, 1007, memory, 16) == LG_ERROR_TABLE);
    CHECK(lg_table_gradient_init(&gradient, &good.raw, NULL, 1008, memory, 16) == LG_ERROR_NULL);
    CHECK(lg_table_gradient_init(&gradient, &good.raw, table, 1008, memory, 15) == LG_ERROR_MEMORY);
    CHECK(lg_table_gradient_init(&gradient, &good.raw, table, 1008, memory, 16) == LG_OK);
    CHECK(lg_table_gradient_push(&gradient, line, 3, levels) == LG_ERROR_LINE_NARROW);
    CHECK(lg_table_gradient_push(&gradient, odd, 4, levels) == LG_ERROR_ALIGNMENT);
    CHECK(lg_table_gradient_flush(&gradient, levels) == LG_ERROR_TOO_FEW_LINES);
    CHECK(lg_table_line(&good.raw, (const int8_t *)table, 1007, line, 4, levels) == LG_ERROR_TABLE);
    CHECK(lg_table_line(&good.raw, (const int8_t *)table, 1008, line, 5, levels) == LG_ERROR_LINE_WIDE);
    CHECK(lg_table_line(&good.raw, (const int8_t *)table, 1008, odd, 4, levels) == LG_ERROR_ALIGNMENT);

    const lg_raw_format bytes = {4, 3, 8, 1, 0, 255}; /* codes of one byte lie anywhere */
    CHECK(lg_table_line(&bytes, (const int8_t *)table, 256, odd, 4, levels) == LG_OK);
    CHECK(lg_table_gradient_init(&gradient, &bytes, table, 256, memory, 8) == LG_OK);
    CHECK(lg_table_gradient_push(&gradient, odd, 4, levels) == LG_NO_LINE);
    CHECK(lg_pack_levels((lg_packing)9, levels, 4, (uint8_t *)again) == LG_ERROR_PACKING);
    CHECK(lg_unpack_levels((lg_packing)9, (const uint8_t *)levels, 4, again) == LG_ERROR_PACKING);
    CHECK(lg_packed_bytes((lg_packing)9, 4) == 0u);
    return 0;
}

typedef void (*row_kernel)(const void *layer, const int8_t *ring, int32_t ring_rows, int32_t out_y, int8_t *out_row);

static void conv_row(const void *layer, const int8_t *ring, int32_t ring_rows, int32_t out_y, int8_t *out_row)
{
    lg_conv2d_s8_row(layer, ring, ring_rows, out_y, out_row);
}

static void depthwise_row(const void *layer, const int8_t *ring, int32_t ring_rows, int32_t out_y, int8_t *out_row)
{
    lg_depthwise_conv2d_s8_row(layer, ring, ring_rows, out_y, out_row);
}

static void max_row(const void *layer, const int8_t *ring, int32_t ring_rows, int32_t out_y, int8_t *out_row)
{
    lg_max_pool_s8_row(layer, ring, ring_rows, out_y, out_row);
}

static void average_row(const void *layer, const int8_t *ring, int32_t ring_rows, int32_t out_y, int8_t *out_row)
{
    lg_average_pool_s8_row(layer, ring, ring_rows, out_y, out_row);
}

/* Feed a row kernel from a ring that never holds more than ring_rows rows; `reach` is one past the last row of
 * output row 0 and `stride` what each output row adds. */
static void run_rows(row_kernel kernel, const void *layer, int32_t in_h, size_t in_row, int32_t out_h, size_t out_row,
                     int32_t ring_rows, int32_t reach, int32_t stride)
{
    int8_t *ring = take((size_t)ring_rows * in_row);
    int8_t *out = take(out_row);
    int32_t have = 0;
    for (int32_t y = 0; y < out_h; y++) {
        for (; have < in_h && have < reach + y * stride; have++) {
            read_into(ring + (size_t)(have % ring_rows) * in_row, in_row);
        }
        kernel(layer, ring, ring_rows, y, out);
        (void)lg_board_write(out, out_row);
    }
    for (; have < in_h; have++) {
        read_into(ring, in_row);
    }
}

/* words: sizes as in lg_conv_layer up to act_max (18), has_bias, ring rows (0: whole map). */
static void run_conv(bool depthwise)
{
    read_into(words, 20u * sizeof words[0]);
    lg_conv_layer layer = {
        .in_h = (uint16_t)words[0],        .in_w = (uint16_t)words[1],          .in_c = (uint16_t)words[2],
        .out_h = (uint16_t)words[3],       .out_w = (uint16_t)words[4],         .out_c = (uint16_t)words[5],
        .kernel_h = (uint16_t)words[6],    .kernel_w = (uint16_t)words[7],      .stride_h = (uint16_t)words[8],
        .stride_w = (uint16_t)words[9],    .dilation_h = (uint16_t)words[10],   .dilation_w = (uint16_t)words[11],
        .pad_top = (uint16_t)words[12],    .pad_left = (uint16_t)words[13],     .in_zero_point = (int16_t)words[14],
        .out_zero_point = (int16_t)words[15], .act_min = (int8_t)words[16],     .act_max = (int8_t)words[17],
    };
    const size_t filter = (size_t)layer.kernel_h * layer.kernel_w * (depthwise ? 1u : layer.in_c);
    layer.weights = receive(filter * layer.out_c);
    layer.bias = words[18] != 0 ? receive(layer.out_c * sizeof(int32_t)) : NULL;
    layer.multiplier = receive(layer.out_c * sizeof(int32_t));
    layer.shift = receive(layer.out_c);
    const size_t in_row = (size_t)layer.in_w * layer.in_c;
    const size_t out_row = (size_t)layer.out_w * layer.out_c;
    if (words[19] > 0) {
        run_rows(depthwise ? depthwise_row : conv_row, &layer, layer.in_h, in_row, layer.out_h, out_row, words[19],
                 (layer.kernel_h - 1) * layer.dilation_h + 1 - layer.pad_top, layer.stride_h);
        return;
    }
    const int8_t *in = receive(in_row * layer.in_h);
    int8_t *out = take(out_row * layer.out_h);
    (depthwise ? lg_depthwise_conv2d_s8 : lg_conv2d_s8)(&layer, in, out);
    (void)lg_board_write(out, out_row * layer.out_h);
}

/* words: in_n, out_n, zero points, act_min, act_max, per_channel, has_bias, piece (0: whole). */
static void run_fully_connected(void)
{
    read_into(words, 9u * sizeof words[0]);
    lg_fully_connected_layer layer = {
        .in_n = word(0),
        .out_n = word(1),
        .in_zero_point = (int16_t)words[2],
        .out_zero_point = (int16_t)words[3],
        .act_min = (int8_t)words[4],
        .act_max = (int8_t)words[5],
        .per_channel = (uint8_t)words[6],
    };
    const size_t scales = layer.per_channel != 0u ? layer.out_n : 1u;
    layer.weights = receive((size_t)layer.in_n * layer.out_n);
    layer.bias = words[7] != 0 ? receive(layer.out_n * sizeof(int32_t)) : NULL;
    layer.multiplier = receive(scales * sizeof(int32_t));
    layer.fraction = receive(scales * sizeof(uint32_t));
    layer.shift = receive(scales);
    const int8_t *in = receive(layer.in_n);
    int8_t *out = take(layer.out_n);
    if (words[8] == 0) {
        lg_fully_connected_s8(&layer, in, out);
    } else {
        int32_t *acc = take(layer.out_n * sizeof *acc);
        lg_fully_connected_s8_begin(&layer, acc);
        for (uint32_t first = 0; first < layer.in_n; first += word(8)) {
            const uint32_t left = layer.in_n - first;
            lg_fully_connected_s8_accumulate(&layer, in + first, first, left < word(8) ? left : word(8), acc);
        }
        lg_fully_connected_s8_finish(&layer, acc, out);
    }
    (void)lg_board_write(out, layer.out_n);
}

/* words: n, zero points (3), act_min, act_max, multipliers (3), shifts (3). */
static void run_add(void)
{
    read_into(words, 12u * sizeof words[0]);
    const lg_add_layer layer = {
        .a_zero_point = (int16_t)words[1], .b_zero_point = (int16_t)words[2], .out_zero_point = (int16_t)words[3],
        .act_min = (int8_t)words[4],       .act_max = (int8_t)words[5],       .a_multiplier = words[6],
        .b_multiplier = words[7],          .out_multiplier = words[8],        .a_shift = (int8_t)words[9],
        .b_shift = (int8_t)words[10],      .out_shift = (int8_t)words[11],
    };
    int8_t *a = receive(word(0));
    const int8_t *b = receive(word(0));
    lg_add_s8(&layer, a, b, word(0), a);
    (void)lg_board_write(a, word(0));
}

/* words: sizes as in lg_pool_layer (11), act_min, act_max, ring rows (0: whole map). */
static void run_pool(bool max)
{
    read_into(words, 14u * sizeof words[0]);
    const lg_pool_layer layer = {
        .in_h = (uint16_t)words[0],     .in_w = (uint16_t)words[1],     .channels = (uint16_t)words[2],
        .out_h = (uint16_t)words[3],    .out_w = (uint16_t)words[4],    .kernel_h = (uint16_t)words[5],
        .kernel_w = (uint16_t)words[6], .stride_h = (uint16_t)words[7], .stride_w = (uint16_t)words[8],
        .pad_top = (uint16_t)words[9],  .pad_left = (uint16_t)words[10], .act_min = (int8_t)words[11],
        .act_max = (int8_t)words[12],
    };
    const size_t in_row = (size_t)layer.in_w * layer.channels;
    const size_t out_row = (size_t)layer.out_w * layer.channels;
    if (words[13] > 0) {
        run_rows(max ? max_row : average_row, &layer, layer.in_h, in_row, layer.out_h, out_row, words[13],
                 layer.kernel_h - layer.pad_top, layer.stride_h);
        return;
    }
    const int8_t *in = receive(in_row * layer.in_h);
    int8_t *out = take(out_row * layer.out_h);
    (max ? lg_max_pool_s8 : lg_average_pool_s8)(&layer, in, out);
    (void)lg_board_write(out, out_row * layer.out_h);
}

/* words: pixels, channels, zero points (2), multiplier, shift. */
static void run_mean(void)
{
    read_into(words, 6u * sizeof words[0]);
    const lg_mean_layer layer = {word(0),           (uint16_t)words[1], (int16_t)words[2],
                                 (int16_t)words[3], words[4],           (int8_t)words[5]};
    const int8_t *in = receive((size_t)layer.pixels * layer.channels);
    int32_t *acc = take(layer.channels * sizeof *acc);
    int8_t *out = take(layer.channels);
    lg_mean_s8(&layer, in, acc, out);
    (void)lg_board_write(out, layer.channels);
}

/* words: sizes as in lg_pad_layer (9), value. */
static void run_pad(void)
{
    read_into(words, 10u * sizeof words[0]);
    const lg_pad_layer layer = {(uint16_t)words[0], (uint16_t)words[1], (uint16_t)words[2], (uint16_t)words[3],
                                (uint16_t)words[4], (uint16_t)words[5], (uint16_t)words[6], (uint16_t)words[7],
                                (uint16_t)words[8], (int8_t)words[9]};
    const int8_t *in = receive((size_t)layer.in_h * layer.in_w * layer.in_c);
    int8_t *out = take((size_t)layer.out_h * layer.out_w * layer.out_c);
    lg_pad_s8(&layer, in, out);
    (void)lg_board_write(out, (size_t)layer.out_h * layer.out_w * layer.out_c);
}

/* words: n, zero points (2), act_min, act_max, multiplier, shift. */
static void run_requantize(void)
{
    read_into(words, 7u * sizeof words[0]);
    const lg_requantize_layer layer = {(int16_t)words[1], (int16_t)words[2], (int8_t)words[3],
                                       (int8_t)words[4],  words[5],          (int8_t)words[6]};
    int8_t *data = receive(word(0));
    lg_requantize_s8(&layer, data, word(0), data);
    (void)lg_board_write(data, word(0));
}

static bool run_case(uint32_t operation)
{
    switch (operation) {
    case QUANTIZER: run_quantizer(); break;
    case TABLE_LINE: run_table_line(); break;
    case TABLE_GRADIENT: run_table_gradient(); break;
    case PACK: run_pack(true); break;
    case UNPACK: run_pack(false); break;
    case CRC: run_crc(); break;
    case MISUSE: reply_word((uint32_t)misuse()); break;
    case FAULT: __builtin_trap();
    case CONV: run_conv(false); break;
    case DEPTHWISE: run_conv(true); break;
    case FULLY_CONNECTED: run_fully_connected(); break;
    case ADD: run_add(); break;
    case MAX_POOL: run_pool(true); break;
    case AVERAGE_POOL: run_pool(false); break;
    case MEAN: run_mean(); break;
    case PAD: run_pad(); break;
    case REQUANTIZE: run_requantize(); break;
    default: return false;
    }
    return true;
}

int main(void)
{
    lg_board_init();
    for (;;) {
        uint32_t operation;
        read_into(&operation, sizeof operation);
        if (operation == END) {
            return 0;
        }
        if (!run_case(operation)) {
            return 13;
        }
        release_all();
    }
}
