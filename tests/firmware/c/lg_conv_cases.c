/* Cases of lg_conv.h, and of the rescaling that its kernels for the DSP extension and MVE use. */
#include "../../../firmware/lib/src/lg_dsp.h"
#include "../../../firmware/lib/src/lg_mve.h"
#include "lg_case.h"
#include "lg_conv.h"

enum { CONV_ROW = 32, RESCALE };

typedef void (*kernel)(const lg_conv *layer, const int8_t *const *rows, int8_t *out);

static const kernel kernels[] = {
    [0] = lg_conv_row,
#if defined(__ARM_FEATURE_DSP) || defined(LG_DSP_EMULATE)
    [1] = lg_conv_row_dsp,
    [3] = lg_winograd_row_dsp,
#endif
#if defined(__ARM_FEATURE_MVE)
    [2] = lg_conv_row_mve,
#endif
};

/* words: variant, the members of lg_conv up to act_max (14), rows, bytes a row with slack, bytes before the first row,
 * bytes of weights, rows of output, any_shift. Arrays: weights, channels, rows. Answer: rows of output, ticks spent in the kernel. */
static void run_conv_row(void)
{
    enum { MAX_ROWS = 64 };
    read_into(words, 21u * sizeof words[0]);
    lg_conv layer = {
        .out_w = (uint16_t)words[1],     .out_c = (uint16_t)words[2],           .kernel_h = (uint16_t)words[3],
        .row_step = (uint16_t)words[4],  .runs = (uint16_t)words[5],            .run_bytes = (uint16_t)words[6],
        .run_step = (uint16_t)words[7],  .x_step = (uint16_t)words[8],          .y_step = (uint16_t)words[9],
        .pool_h = (uint8_t)words[10],    .pool_w = (uint8_t)words[11],          .out_zero_point = (int16_t)words[12],
        .act_min = (int8_t)words[13],    .act_max = (int8_t)words[14],          .any_shift = (uint8_t)words[20],
    };
    layer.weights = receive(word(18));
    /* By variant: the portable kernel, the DSP extension's, MVE's, Winograd's. */
    const size_t channels[] = {sizeof(lg_channel) * layer.out_c, sizeof(lg_dsp_channel) * layer.out_c,
                               12u * sizeof(int32_t) * ((layer.out_c + 3u) / 4u),
                               sizeof(lg_dsp_channel) * layer.out_c};
    layer.channels = receive(channels[word(0)]);
    const int8_t *const in = (const int8_t *)receive(word(15) * word(16) + word(17)) + word(17);
    int8_t *out = take((size_t)layer.out_w * layer.out_c);
    const uint32_t needed = (layer.pool_h - 1u) * layer.y_step + (layer.kernel_h - 1u) * layer.row_step + 1u;
    const int8_t *rows[MAX_ROWS];
    uint32_t ticks = 0;
    for (uint32_t y = 0; y < word(19); y++) {
        for (uint32_t i = 0; i < needed && i < MAX_ROWS; i++) {
            rows[i] = in + (y * layer.pool_h * layer.y_step + i) * word(16);
        }
        const uint32_t start = lg_board_ticks();
        kernels[word(0)](&layer, rows, out);
        ticks += lg_board_ticks() - start;
        (void)lg_board_write(out, (size_t)layer.out_w * layer.out_c);
    }
    reply_word(ticks);
}

static int32_t rescale(int32_t x, int32_t multiplier, int32_t shift)
{
#if defined(__ARM_FEATURE_MVE)
    const int32x4_t all = lg_mve_requant(vdupq_n_s32(x), vdupq_n_s32(multiplier), vdupq_n_s32(shift));
    const int32x4_t down = lg_mve_requant_down(vdupq_n_s32(x), vdupq_n_s32(multiplier), vdupq_n_s32(shift));
    return vgetq_lane_s32(shift < 0 ? down : all, 0) == vgetq_lane_s32(all, 3) ? vgetq_lane_s32(all, 1) : INT32_MIN;
#elif defined(LG_DSP)
    return lg_requant_fast(x, multiplier, shift);
#else
    return lg_requant_double(x, multiplier, shift);
#endif
}

/* words: n. Arrays: values, multipliers, shifts. Answer: n words. */
static void run_rescale(void)
{
    read_into(words, sizeof words[0]);
    const int32_t *values = receive(4u * word(0));
    const int32_t *multipliers = receive(4u * word(0));
    const int32_t *shifts = receive(4u * word(0));
    for (uint32_t i = 0; i < word(0); i++) {
        reply_word((uint32_t)rescale(values[i], multipliers[i], shifts[i]));
    }
}

static bool run_case(uint32_t operation)
{
    switch (operation) {
    case CONV_ROW: run_conv_row(); break;
    case RESCALE: run_rescale(); break;
    default: return false;
    }
    return true;
}
