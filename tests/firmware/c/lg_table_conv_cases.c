/* Cases of the convolution by tables and of the codes it reads. */
#include "lg_case.h"
#include "lg_table_conv.h"

enum { TABLE_CONV = 80, LEVEL_CODES };
enum { MAX_ROWS = 40 };

typedef void (*row_kernel)(const lg_table_conv *layer, const int8_t *const *rows, int8_t *out);

static row_kernel kernel_of(uint32_t variant)
{
#if defined(__ARM_FEATURE_DSP) || defined(LG_DSP_EMULATE)
    if (variant == 1u) {
        return lg_table_conv_row_dsp;
    }
#endif
#if defined(__ARM_FEATURE_MVE)
    if (variant == 2u) {
        return lg_table_conv_row_mve;
    }
#endif
    return variant == 0u ? lg_table_conv_row : NULL;
}

/* words: variant, in_h, in_w, out_h, pad_top, pad_left, radix, codes a row, sizes as in lg_table_conv (11), pool_h,
 * pool_w, out zero point, act_min, act_max, step from an output row to the next in input rows.
 * Arrays: levels, table, channels. Answer: the output map, the ticks of the kernel. */
static void run_table_conv(void)
{
    read_into(words, 25u * sizeof words[0]);
    const uint32_t in_h = word(1);
    const uint32_t in_w = word(2);
    const uint32_t count = word(7);
    lg_table_conv layer = {
        .out_w = (uint16_t)words[8],       .out_c = (uint16_t)words[9],     .columns = (uint16_t)words[10],
        .kernel_h = (uint16_t)words[11],   .row_step = (uint16_t)words[12], .groups = (uint16_t)words[13],
        .pixels = (uint16_t)words[14],     .entries = (uint16_t)words[15],  .x_step = (uint16_t)words[16],
        .y_step = (uint16_t)words[17],     .pool_h = (uint8_t)words[18],    .pool_w = (uint8_t)words[19],
        .out_zero_point = (int16_t)words[20], .act_min = (int8_t)words[21], .act_max = (int8_t)words[22],
    };
    int8_t *levels = take(in_w);
    uint8_t *codes = take((size_t)in_h * count);
    uint8_t *border = take(count);
    for (uint32_t y = 0; y < in_h; y++) {
        read_into(levels, in_w);
        lg_level_codes(levels, in_w, word(5), word(6), layer.pixels, count, codes + (size_t)y * count);
    }
    lg_level_codes(levels, 0u, 0u, word(6), layer.pixels, count, border);
    layer.table =
        receive((size_t)layer.kernel_h * layer.groups * layer.entries * layer.columns * sizeof *layer.table);
    layer.channels = receive(layer.out_c * sizeof *layer.channels);
    int8_t *out = take((size_t)layer.out_w * layer.out_c);
    const row_kernel kernel = kernel_of(word(0));
    uint32_t ticks = 0;
    for (int32_t y = 0; y < words[3]; y++) {
        const int8_t *rows[MAX_ROWS];
        const int32_t top = y * words[23] - words[4];
        for (int32_t i = 0; i < words[24]; i++) {
            const bool inside = top + i >= 0 && top + i < words[1];
            rows[i] = (const int8_t *)(inside ? codes + (size_t)(top + i) * count : border);
        }
        const uint32_t start = lg_board_ticks();
        kernel(&layer, rows, out);
        ticks += lg_board_ticks() - start;
        (void)lg_board_write(out, (size_t)layer.out_w * layer.out_c);
    }
    reply_word(ticks);
}

/* words: width, left, radix, pixels, count; array: levels. Answer: codes, ticks. */
static void run_level_codes(void)
{
    read_into(words, 5u * sizeof words[0]);
    const int8_t *levels = receive(word(0));
    uint8_t *codes = take(word(4));
    const uint32_t start = lg_board_ticks();
    lg_level_codes(levels, word(0), word(1), word(2), word(3), word(4), codes);
    const uint32_t ticks = lg_board_ticks() - start;
    (void)lg_board_write(codes, word(4));
    reply_word(ticks);
}

static bool run_case(uint32_t operation)
{
    switch (operation) {
    case TABLE_CONV: run_table_conv(); break;
    case LEVEL_CODES: run_level_codes(); break;
    default: return false;
    }
    return true;
}
