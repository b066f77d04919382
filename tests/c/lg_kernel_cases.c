/* Cases of the int8 kernels. */
#include "lg_case.h"
#include "lg_nn.h"

enum { CONV = 16, DEPTHWISE, FULLY_CONNECTED, ADD, MAX_POOL, AVERAGE_POOL, MEAN, PAD, REQUANTIZE };

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
