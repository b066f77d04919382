/* int8 neural-network kernels, bit for bit those of the TFLite reference (BUILTIN_REF).
 *
 * real = scale * (int8 - zero_point). Scales reach the kernels as fixed point:
 *   scale = multiplier * 2^(shift - 31),  2^30 <= multiplier < 2^31 (or 0),  -31 <= shift <= 30.
 * Maps are HWC, row after row, no gaps. Batch is 1. A kernel never allocates, keeps no state and writes
 * only its output. in and out must not overlap unless stated. Arguments are not checked: the ranges here are the
 * caller's to keep, and what generates a network keeps them.
 *
 * Sizes: every map and every weight array has fewer than 2^31 elements, and every coordinate that a window reaches,
 * out * stride - pad + (kernel - 1) * dilation, stays within +-(2^31 - 1). Zero points are -128..127 and
 * act_min <= act_max throughout.
 *
 * Rows and rings: a spatial kernel comes as ..._row, which makes output row out_y, and as a whole-map
 * function, the loop over its rows. The _row form reads input row r at ring + (r % ring_rows) * row bytes, so
 * it works on a ring that holds only the rows still needed (ring_rows >= (kernel_h - 1) * dilation_h + 1,
 * at most in_h) as well as on a whole map (ring_rows = in_h). 0 <= out_y < out_h, 1 <= ring_rows <= in_h. Rows
 * outside 0..in_h-1 are padding and are never read. Row r of output out_y runs from out_y * stride_h - pad_top.
 *
 * Accumulators are int32_t: bias + sum must stay within +-(2^31 - 1), as in TFLite; with |in - zero point| <= 255 and
 * |weight| <= 128 that holds for up to 65,000 weights an output and |bias| <= 2^24. */
#ifndef LG_NN_H
#define LG_NN_H

#include <stdint.h>

/* CONV_2D and DEPTHWISE_CONV_2D. All sizes >= 1; rounding is double (see lg_requant.h). */
typedef struct {
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c; /* depthwise: out_c = in_c * depth multiplier */
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t dilation_h, dilation_w;
    uint16_t pad_top, pad_left; /* padding reads as in_zero_point */
    int16_t in_zero_point;      /* -128..127 */
    int16_t out_zero_point;     /* -128..127 */
    int8_t act_min, act_max;    /* fused activation, in output units */
    const int8_t *weights;      /* conv: [out_c][kernel_h][kernel_w][in_c]; depthwise: [kernel_h][kernel_w][out_c] */
    const int32_t *bias;        /* [out_c] or NULL for none; scale in * weights */
    const int32_t *multiplier;  /* [out_c], s_in * s_weights[c] / s_out */
    const int8_t *shift;        /* [out_c], -31..30 */
} lg_conv_layer;

void lg_conv2d_s8(const lg_conv_layer *layer, const int8_t *in, int8_t *out);
void lg_conv2d_s8_row(const lg_conv_layer *layer, const int8_t *ring, int32_t ring_rows, int32_t out_y,
                      int8_t *out_row);

void lg_depthwise_conv2d_s8(const lg_conv_layer *layer, const int8_t *in, int8_t *out);
void lg_depthwise_conv2d_s8_row(const lg_conv_layer *layer, const int8_t *ring, int32_t ring_rows, int32_t out_y,
                                int8_t *out_row);

/* FULLY_CONNECTED. The scale is a whole double and rounding is single (lg_requant_single in lg_requant.h):
 *   s_in * s_weights / s_out = (multiplier + fraction * 2^-22) * 2^(shift - 31). */
typedef struct {
    uint32_t in_n;  /* inputs, >= 1 */
    uint32_t out_n; /* outputs, >= 1 */
    int16_t in_zero_point, out_zero_point;
    int8_t act_min, act_max;
    uint8_t per_channel;       /* 0: one scale for all outputs; 1: [out_n] */
    const int8_t *weights;     /* [out_n][in_n] */
    const int32_t *bias;       /* [out_n] or NULL */
    const int32_t *multiplier; /* rounded down */
    const uint32_t *fraction;  /* the next 22 bits of the mantissa */
    const int8_t *shift;
} lg_fully_connected_layer;

void lg_fully_connected_s8(const lg_fully_connected_layer *layer, const int8_t *in, int8_t *out);

/* The same in pieces, for an input that arrives row by row: begin sets acc[out_n] to the biases, accumulate
 * adds inputs first .. first + n - 1 (each input once, any order), finish writes out[out_n]. */
void lg_fully_connected_s8_begin(const lg_fully_connected_layer *layer, int32_t *acc);
void lg_fully_connected_s8_accumulate(const lg_fully_connected_layer *layer, const int8_t *in, uint32_t first,
                                      uint32_t n, int32_t *acc);
void lg_fully_connected_s8_finish(const lg_fully_connected_layer *layer, const int32_t *acc, int8_t *out);

/* ADD of two tensors of one shape. With twice_max = 2 * max(s_a, s_b):
 *   a_multiplier, a_shift from s_a / twice_max, b_ likewise, out_ from twice_max / (2^20 * s_out). */
typedef struct {
    int16_t a_zero_point, b_zero_point, out_zero_point;
    int8_t act_min, act_max;
    int32_t a_multiplier, b_multiplier, out_multiplier; /* 0 or 2^30..2^31-1 */
    int8_t a_shift, b_shift, out_shift;                 /* a_, b_: -30..0; out_: -31..30 */
} lg_add_layer;

/* n elements; out may be a or b. */
void lg_add_s8(const lg_add_layer *layer, const int8_t *a, const int8_t *b, uint32_t n, int8_t *out);

/* MAX_POOL_2D and AVERAGE_POOL_2D: scale and zero point of input and output are equal, channels too.
 * Every window must hold at least one pixel of the image. */
typedef struct {
    uint16_t in_h, in_w, channels;
    uint16_t out_h, out_w;
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t pad_top, pad_left; /* padding is left out of the maximum and of the count */
    int8_t act_min, act_max;
} lg_pool_layer;

void lg_max_pool_s8(const lg_pool_layer *layer, const int8_t *in, int8_t *out);
void lg_max_pool_s8_row(const lg_pool_layer *layer, const int8_t *ring, int32_t ring_rows, int32_t out_y,
                        int8_t *out_row);

/* Integer sum of the pixels in the image, divided by their number, half away from zero. kernel_h * kernel_w <= 2^23. */
void lg_average_pool_s8(const lg_pool_layer *layer, const int8_t *in, int8_t *out);
void lg_average_pool_s8_row(const lg_pool_layer *layer, const int8_t *ring, int32_t ring_rows, int32_t out_y,
                            int8_t *out_row);

/* MEAN over height and width (global average). With s_in / s_out = m * 2^(e - 31) and N = pixels:
 *   k = min(floor(log2(N)), 32, 31 + e);  multiplier = floor(m * 2^k / N);  shift = e - k. Rounding is double. */
typedef struct {
    uint32_t pixels; /* N = H * W, 1..2^23 */
    uint16_t channels;
    int16_t in_zero_point, out_zero_point;
    int32_t multiplier; /* 0..2^31-1, not necessarily >= 2^30 */
    int8_t shift;       /* -31..30 */
} lg_mean_layer;

/* in: [pixels][channels]; acc: int32_t[channels] of scratch; out: [channels]. */
void lg_mean_s8(const lg_mean_layer *layer, const int8_t *in, int32_t *acc, int8_t *out);

/* The same in pieces: begin clears acc, accumulate adds `pixels` pixels, finish writes out. */
void lg_mean_s8_begin(const lg_mean_layer *layer, int32_t *acc);
void lg_mean_s8_accumulate(const lg_mean_layer *layer, const int8_t *in, uint32_t pixels, int32_t *acc);
void lg_mean_s8_finish(const lg_mean_layer *layer, const int32_t *acc, int8_t *out);

/* PAD of height, width and channels with one value (the zero point). */
typedef struct {
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c; /* out_h >= top + in_h, and so on */
    uint16_t top, left, front;    /* rows, columns, channels before the input */
    int8_t value;
} lg_pad_layer;

void lg_pad_s8(const lg_pad_layer *layer, const int8_t *in, int8_t *out);
/* in_row: the input row that output row out_y shows (out_y - top), or anything when there is none. */
void lg_pad_s8_row(const lg_pad_layer *layer, const int8_t *in_row, int32_t out_y, int8_t *out_row);

/* RELU, RELU6 and QUANTIZE from int8 to int8: out = clamp(round((in - zp_in) * s_in / s_out) + zp_out).
 * Rounding is double. out may be in. */
typedef struct {
    int16_t in_zero_point, out_zero_point;
    int8_t act_min, act_max;
    int32_t multiplier; /* 0 or 2^30..2^31-1 */
    int8_t shift;       /* -31..30 */
} lg_requantize_layer;

void lg_requantize_s8(const lg_requantize_layer *layer, const int8_t *in, uint32_t n, int8_t *out);

#endif
