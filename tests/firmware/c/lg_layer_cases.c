/* Cases of every kernel but the convolutions: depthwise, pools, mean, dense, elementwise, rescaling. */
#include "lg_case.h"
#include "lg_depthwise.h"
#include "lg_dense.h"
#include "lg_elementwise.h"
#include "lg_mean.h"
#include "lg_pool.h"
#include "lg_requant.h"

enum { DEPTHWISE = 64, MAX_POOL, AVERAGE_POOL, MEAN, DENSE, ADD, MUL, LOOKUP, COPY_PIXELS, REQUANT_DOUBLE, REQUANT_SINGLE,
       PRODUCTS };
enum { PORTABLE, DSP, MVE };
enum { MAX_ROWS = 64 };

/* Leaves out what the core does not have. */
#if defined(__ARM_FEATURE_DSP) || defined(LG_DSP_EMULATE)
#define DSP_OR_NULL(kernel) kernel
#else
#define DSP_OR_NULL(kernel) NULL
#endif
#if defined(__ARM_FEATURE_MVE)
#define MVE_OR_NULL(kernel) kernel
#else
#define MVE_OR_NULL(kernel) NULL
#endif

/* words: variant, out_h, sizes as in lg_depthwise (8), out zero point, act_min, act_max, bytes of weights, bytes of an
 * input row, stride_h, misalignment of rows and output, sliding, any_shift. Arrays: weights, channels, padded map. */
static void run_depthwise(void)
{
    void (*const kernels[])(const lg_depthwise *, const int8_t *const *, int8_t *) = {
        lg_depthwise_row, DSP_OR_NULL(lg_depthwise_row_dsp), MVE_OR_NULL(lg_depthwise_row_mve)};
    read_into(words, 19u * sizeof words[0]);
    lg_depthwise layer = {
        .out_w = (uint16_t)words[2],     .in_c = (uint16_t)words[3],     .multiplier = (uint16_t)words[4],
        .kernel_h = (uint16_t)words[5],  .kernel_w = (uint16_t)words[6], .row_step = (uint16_t)words[7],
        .tap_step = (uint16_t)words[8],  .x_step = (uint16_t)words[9],   .out_zero_point = (int16_t)words[10],
        .act_min = (int8_t)words[11],    .act_max = (int8_t)words[12],   .sliding = (uint8_t)words[17],
        .any_shift = (uint8_t)words[18],
    };
    const uint32_t row_bytes = word(14), stride = word(15), shift = word(16);
    const uint32_t out_c = (uint32_t)layer.in_c * layer.multiplier;
    const uint32_t reach = (layer.kernel_h - 1u) * layer.row_step + 1u;
    const uint32_t in_h = (word(1) - 1u) * stride + reach;
    layer.weights = receive(word(13));
    const size_t channels[] = {sizeof(lg_channel) * out_c, sizeof(lg_dsp_channel) * out_c,
                               48u * sizeof(int32_t) * ((out_c + 15u) / 16u)};
    layer.channels = receive(channels[word(0)]);
    int8_t *in = take((size_t)in_h * row_bytes + shift + 3u);
    read_into(in + shift, (size_t)in_h * row_bytes);
    int8_t *out = take(layer.out_w * out_c + shift);
    uint32_t ticks = 0;
    for (uint32_t y = 0; y < word(1); y++) {
        const int8_t *rows[MAX_ROWS];
        for (uint32_t i = 0; i < reach; i++) {
            rows[i] = in + shift + (y * stride + i) * row_bytes;
        }
        const uint32_t start = lg_board_ticks();
        kernels[words[0]](&layer, rows, out + shift);
        ticks += lg_board_ticks() - start;
        (void)lg_board_write(out + shift, layer.out_w * out_c);
    }
    reply_word(ticks);
}

/* words: in_h, out_h, kernel_h, stride_h, pad_top, sizes as in lg_pool (6), act_min, act_max. Array: map. */
static void run_pool(bool max)
{
    read_into(words, 13u * sizeof words[0]);
    const lg_pool layer = {
        .in_w = (uint16_t)words[5],     .channels = (uint16_t)words[6], .out_w = (uint16_t)words[7],
        .kernel_w = (uint16_t)words[8], .stride_w = (uint16_t)words[9], .pad_left = (uint16_t)words[10],
        .act_min = (int8_t)words[11],   .act_max = (int8_t)words[12],
    };
    const size_t row_bytes = (size_t)layer.in_w * layer.channels;
    const size_t out_bytes = (size_t)layer.out_w * layer.channels;
    const int8_t *in = receive(row_bytes * word(0));
    int8_t *out = take(out_bytes);
    uint32_t ticks = 0;
    for (int32_t y = 0; y < words[1]; y++) {
        const int8_t *rows[MAX_ROWS];
        uint32_t count = 0;
        for (int32_t i = 0; i < words[2]; i++) {
            const int32_t at = y * words[3] - words[4] + i;
            if (at >= 0 && at < words[0]) {
                rows[count++] = in + (size_t)at * row_bytes;
            }
        }
        const uint32_t start = lg_board_ticks();
        (max ? lg_max_pool_row : lg_average_pool_row)(&layer, rows, count, out);
        ticks += lg_board_ticks() - start;
        (void)lg_board_write(out, out_bytes);
    }
    reply_word(ticks);
}

/* words: rows, width, channels, zero points (2), multiplier, shift. Array: map. */
static void run_mean(void)
{
    read_into(words, 7u * sizeof words[0]);
    const lg_mean layer = {
        .pixels = word(0) * word(1),        .channels = (uint16_t)words[2], .in_zero_point = (int16_t)words[3],
        .out_zero_point = (int16_t)words[4], .multiplier = words[5],        .shift = (int8_t)words[6],
    };
    const size_t row_bytes = (size_t)word(1) * layer.channels;
    int8_t *row = take(row_bytes);
    int32_t *acc = take(layer.channels * sizeof *acc);
    int8_t *out = take(layer.channels);
    uint32_t ticks = 0;
    lg_mean_begin(&layer, acc);
    for (uint32_t y = 0; y < word(0); y++) {
        read_into(row, row_bytes);
        const uint32_t start = lg_board_ticks();
        lg_mean_accumulate(&layer, row, word(1), acc);
        ticks += lg_board_ticks() - start;
    }
    lg_mean_finish(&layer, acc, out);
    (void)lg_board_write(out, layer.channels);
    reply_word(ticks);
}

/* words: variant, in_n, out_n, zero point, act_min, act_max, per_channel, inputs a piece, misalignment,
 * bytes of weights. Arrays: weights, bias, scales, inputs. The ticks are those of lg_dense_accumulate. */
static void run_dense(void)
{
    void (*const kernels[])(const lg_dense *, const int8_t *, uint32_t, uint32_t, int32_t *) = {
        lg_dense_accumulate, DSP_OR_NULL(lg_dense_accumulate_dsp), MVE_OR_NULL(lg_dense_accumulate_mve)};
    read_into(words, 10u * sizeof words[0]);
    lg_dense layer = {
        .in_n = word(1),
        .out_n = word(2),
        .out_zero_point = (int16_t)words[3],
        .act_min = (int8_t)words[4],
        .act_max = (int8_t)words[5],
        .per_channel = (uint8_t)words[6],
    };
    layer.weights = receive(word(9));
    layer.bias = receive(layer.out_n * sizeof *layer.bias);
    layer.scales = receive((layer.per_channel != 0u ? layer.out_n : 1u) * sizeof *layer.scales);
    int8_t *in = take(layer.in_n + word(8));
    in += word(8);
    read_into(in, layer.in_n);
    int8_t *out = take(layer.out_n);
    int32_t *acc = take(layer.out_n * sizeof *acc);
    uint32_t ticks = 0;
    lg_dense_begin(&layer, acc);
    for (uint32_t first = 0; first < layer.in_n; first += word(7)) {
        const uint32_t left = layer.in_n - first;
        const uint32_t start = lg_board_ticks();
        kernels[words[0]](&layer, in + first, first, left < word(7) ? left : word(7), acc);
        ticks += lg_board_ticks() - start;
    }
    lg_dense_finish(&layer, acc, out);
    (void)lg_board_write(out, layer.out_n);
    reply_word(ticks);
}

/* words: variant, n, zero points (3), act_min, act_max, multipliers (3), shifts (3), place (0: out, 1: a, 2: b). */
static void run_add(void)
{
    void (*const kernels[])(const lg_add *, const int8_t *, const int8_t *, uint32_t, int8_t *) = {
        lg_add_row, DSP_OR_NULL(lg_add_row_dsp), MVE_OR_NULL(lg_add_row_mve)};
    read_into(words, 14u * sizeof words[0]);
    const lg_add layer = {
        .a_zero_point = (int16_t)words[2], .b_zero_point = (int16_t)words[3], .out_zero_point = (int16_t)words[4],
        .act_min = (int8_t)words[5],       .act_max = (int8_t)words[6],       .a_multiplier = words[7],
        .b_multiplier = words[8],          .out_multiplier = words[9],        .a_shift = (int8_t)words[10],
        .b_shift = (int8_t)words[11],      .out_shift = (int8_t)words[12],
    };
    int8_t *a = receive(word(1));
    int8_t *b = receive(word(1));
    int8_t *out = words[13] == 0 ? take(word(1)) : words[13] == 1 ? a : b;
    const uint32_t start = lg_board_ticks();
    kernels[words[0]](&layer, a, b, word(1), out);
    const uint32_t ticks = lg_board_ticks() - start;
    (void)lg_board_write(out, word(1));
    reply_word(ticks);
}

/* words: n, c, zero points (2), act_min, act_max, multiplier, shift. Arrays: constant, inputs. */
static void run_mul(void)
{
    read_into(words, 8u * sizeof words[0]);
    lg_mul layer = {
        .c = word(1),
        .a_zero_point = (int16_t)words[2],
        .out_zero_point = (int16_t)words[3],
        .act_min = (int8_t)words[4],
        .act_max = (int8_t)words[5],
        .multiplier = words[6],
        .shift = (int8_t)words[7],
    };
    layer.b = receive(layer.c * sizeof *layer.b);
    int8_t *a = receive(word(0));
    const uint32_t start = lg_board_ticks();
    lg_mul_row(&layer, a, word(0), a);
    const uint32_t ticks = lg_board_ticks() - start;
    (void)lg_board_write(a, word(0));
    reply_word(ticks);
}

/* words: n. Arrays: table, inputs. */
static void run_lookup(void)
{
    read_into(words, sizeof words[0]);
    const int8_t *table = receive(256);
    int8_t *data = receive(word(0));
    const uint32_t start = lg_board_ticks();
    lg_lookup_row(table, data, word(0), data);
    const uint32_t ticks = lg_board_ticks() - start;
    (void)lg_board_write(data, word(0));
    reply_word(ticks);
}

/* words: pixels, channels, in_step, out_step, bytes of out, first byte of in and of out. Arrays: in, out before. */
static void run_copy_pixels(void)
{
    read_into(words, 7u * sizeof words[0]);
    const int8_t *in = receive(word(5) + (word(0) - 1u) * word(2) + word(1));
    int8_t *out = receive(word(4));
    const uint32_t start = lg_board_ticks();
    lg_copy_pixels(in + word(5), word(0), word(1), word(2), word(3), out + word(6));
    const uint32_t ticks = lg_board_ticks() - start;
    (void)lg_board_write(out, word(4));
    reply_word(ticks);
}

/* words: n. Array: x, multiplier, fraction, shift, n times. */
static void run_requant(bool single)
{
    read_into(words, sizeof words[0]);
    uint32_t ticks = 0;
    for (uint32_t i = 0; i < word(0); i++) {
        int32_t one[4];
        read_into(one, sizeof one);
        const uint32_t start = lg_board_ticks();
        const int32_t scaled = single ? lg_requant_single(one[0], one[1], (uint32_t)one[2], one[3])
                                      : lg_requant_double(one[0], one[1], one[3]);
        ticks += lg_board_ticks() - start;
        reply_word((uint32_t)scaled);
    }
    reply_word(ticks);
}

/* words: n, a random state. Answer: for how many of n pairs, many of them extreme, two ways of multiplying differ. */
static void run_products(void)
{
    static const uint32_t ends[8] = {0u, 1u, 0xFFFFu, 0x10000u, 0x40000000u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu};
    read_into(words, 2u * sizeof words[0]);
    uint32_t state = word(1), wrong = 0;
    for (uint32_t i = 0; i < word(0); i++) {
        uint32_t pair[2];
        for (uint32_t k = 0; k < 2u; k++) {
            state = state * 1664525u + 1013904223u;
            const uint32_t kind = state >> 28;
            state = state * 1664525u + 1013904223u;
            const uint32_t value = (state >> 16) | (state << 16);
            const uint32_t end = ends[value & 7u];
            pair[k] = kind == 0u ? end : kind == 1u ? end + (value >> 28) - 8u : value >> (kind & 12u);
        }
        const int32_t b = (int32_t)(pair[1] & 0x7FFFFFFFu);
        wrong += lg_product_wide(pair[0], pair[1]) != lg_product_narrow(pair[0], pair[1]) ? 1u : 0u;
        wrong += lg_high_wide((int32_t)pair[0], b) != lg_high_narrow((int32_t)pair[0], b) ? 1u : 0u;
    }
    reply_word(wrong);
}

static bool run_case(uint32_t operation)
{
    switch (operation) {
    case DEPTHWISE: run_depthwise(); break;
    case MAX_POOL: run_pool(true); break;
    case AVERAGE_POOL: run_pool(false); break;
    case MEAN: run_mean(); break;
    case DENSE: run_dense(); break;
    case ADD: run_add(); break;
    case MUL: run_mul(); break;
    case LOOKUP: run_lookup(); break;
    case COPY_PIXELS: run_copy_pixels(); break;
    case REQUANT_DOUBLE: run_requant(false); break;
    case REQUANT_SINGLE: run_requant(true); break;
    case PRODUCTS: run_products(); break;
    default: return false;
    }
    return true;
}
