/* Cases of the front end: quantiser, tables, binning, packing, CRC. */
#include "lg_bin.h"
#include "lg_case.h"
#include "lg_crc32.h"
#include "lg_pack.h"
#include "lg_quantizer.h"
#include "lg_table.h"

enum { QUANTIZER = 1, TABLE_LINE, TABLE_GRADIENT, PACK, UNPACK, CRC, MISUSE, FAULT, BIN };

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
    const size_t memory_size = LG_LINE_STORE_BYTES(config.raw.width, config.raw.code_bytes);
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
    const size_t memory_size = LG_LINE_STORE_BYTES(raw.width, raw.code_bytes);
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

/* words: raw format (6), k, is wide; array: frame. Answer: the status of every row, and the pixels of every row that
 * gives some; ticks. */
static void run_bin(void)
{
    static lg_bin_loop *const loops[2][2][2] = {{{lg_bin_2_8, NULL}, {lg_bin_2_16, lg_bin_2_16_wide}},
                                                {{lg_bin_4_8, NULL}, {lg_bin_4_16, lg_bin_4_16_wide}}};
    read_into(words, 8u * sizeof words[0]);
    const lg_raw_format raw = raw_format();
    const uint32_t k = word(6), pixels = raw.width / k;
    const bool wide = words[7] != 0;
    uint16_t *sums = take((wide ? LG_BIN_SUMS_WIDE(pixels) : LG_BIN_SUMS(pixels)) * sizeof *sums);
    void *line = take((size_t)raw.width * raw.code_bytes);
    uint32_t ticks = 0;
    for (uint32_t y = 0; y < raw.height; y++) {
        read_into(line, (size_t)raw.width * raw.code_bytes);
        const uint32_t start = lg_board_ticks();
        const lg_status status = lg_bin_push(&raw, loops[k / 4u][raw.code_bytes - 1u][wide], line, raw.width, y % k, sums);
        ticks += lg_board_ticks() - start;
        reply_word((uint32_t)status);
        if (status == LG_OK) {
            (void)lg_board_write(sums, (size_t)pixels * raw.code_bytes);
        }
    }
    reply_word(ticks);
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

    uint16_t sums[2] = {7, 7};
    CHECK(lg_bin_push(NULL, lg_bin_2_16, line, 4, 0, sums) == LG_ERROR_NULL);
    CHECK(lg_bin_push(&good.raw, NULL, line, 4, 0, sums) == LG_ERROR_NULL);
    CHECK(lg_bin_push(&good.raw, lg_bin_2_16, NULL, 4, 0, sums) == LG_ERROR_NULL);
    CHECK(lg_bin_push(&good.raw, lg_bin_2_16, line, 4, 0, NULL) == LG_ERROR_NULL);
    CHECK(lg_bin_push(&good.raw, lg_bin_2_16, line, 3, 0, sums) == LG_ERROR_LINE_NARROW);
    CHECK(lg_bin_push(&good.raw, lg_bin_2_16, line, 5, 0, sums) == LG_ERROR_LINE_WIDE);
    CHECK(lg_bin_push(&good.raw, lg_bin_2_16, odd, 4, 0, sums) == LG_ERROR_ALIGNMENT);
    CHECK(sums[0] == 7u && sums[1] == 7u);
    CHECK(lg_bin_push(&good.raw, lg_bin_2_16, line, 4, 0, sums) == LG_NO_LINE);
    CHECK(lg_bin_push(&good.raw, lg_bin_2_16, line, 4, 1, sums) == LG_OK);
    CHECK(sums[0] == (2u * 184u + 2u) / 4u && sums[1] == (2u * (1007u + 496u) + 2u) / 4u);

    const lg_raw_format bytes = {4, 3, 8, 1, 0, 255}; /* codes of one byte lie anywhere */
    CHECK(lg_bin_push(&bytes, lg_bin_2_8, odd, 4, 0, sums) == LG_NO_LINE);
    CHECK(lg_table_line(&bytes, (const int8_t *)table, 256, odd, 4, levels) == LG_OK);
    CHECK(lg_table_gradient_init(&gradient, &bytes, table, 256, memory, 8) == LG_OK);
    CHECK(lg_table_gradient_push(&gradient, odd, 4, levels) == LG_NO_LINE);
    CHECK(lg_pack_levels((lg_packing)9, levels, 4, (uint8_t *)again) == LG_ERROR_PACKING);
    CHECK(lg_unpack_levels((lg_packing)9, (const uint8_t *)levels, 4, again) == LG_ERROR_PACKING);
    CHECK(lg_packed_bytes((lg_packing)9, 4) == 0u);
    return 0;
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
    case BIN: run_bin(); break;
    case FAULT: __builtin_trap();
    default: return false;
    }
    return true;
}
