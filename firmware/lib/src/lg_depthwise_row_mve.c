/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D with multiplier 1 on M55: sixteen channels of a pixel at a time. Of 1, 2, 4 or 8 channels and windows
 * a pixel apart, sixteen channels are those of neighbours.
 *
 * Products of two taps are added as int16 (weights -127..127: at most 2 * 128 * 127), then as int32. Even and odd lanes
 * part twice on the way from int8 to int32, so sum k holds channels k, k + 4, k + 8, k + 12; narrowing puts them
 * back. */
#include <stddef.h>

#include "lg_depthwise.h"
#include "lg_mve.h"

#if defined(__ARM_FEATURE_MVE)

enum { LANES = 16, TAPS = 64 };

/* Of sixteen channels, in the order of the sums. */
typedef struct {
    int32_t bias[LANES], multiplier[LANES], shift[LANES]; /* bytes 0, 64, 128 */
} scales;

typedef struct {
    int32x4_t k0, k1, k2, k3;
} sums;

static inline void add_products(sums *s, int16x8_t even, int16x8_t odd)
{
    s->k0 = vaddq_s32(s->k0, vmovlbq_s16(even));
    s->k1 = vaddq_s32(s->k1, vmovlbq_s16(odd));
    s->k2 = vaddq_s32(s->k2, vmovltq_s16(even));
    s->k3 = vaddq_s32(s->k3, vmovltq_s16(odd));
}

static inline void add_taps(sums *s, const int8_t *a, const int8_t *b, const int8_t *weights, mve_pred16_t active)
{
    const int8x16_t x = vldrbq_z_s8(a, active), w = vldrbq_s8(weights);
    const int8x16_t y = vldrbq_z_s8(b, active), v = vldrbq_s8(weights + LANES);
    const int16x8_t even = vaddq_s16(vmullbq_int_s8(x, w), vmullbq_int_s8(y, v));
    const int16x8_t odd = vaddq_s16(vmulltq_int_s8(x, w), vmulltq_int_s8(y, v));
    add_products(s, even, odd);
}

static inline void add_tap(sums *s, const int8_t *a, const int8_t *weights, mve_pred16_t active)
{
    const int8x16_t x = vldrbq_z_s8(a, active), w = vldrbq_s8(weights);
    add_products(s, vmullbq_int_s8(x, w), vmulltq_int_s8(x, w));
}

static inline int32x4_t rescaled(const lg_depthwise *l, const scales *of, int32x4_t x, uint32_t at)
{
    const int32x4_t multiplier = vldrwq_s32(of->multiplier + at), shift = vldrwq_s32(of->shift + at);
    return l->any_shift ? lg_mve_requant(x, multiplier, shift) : lg_mve_requant_down(x, multiplier, shift);
}

static inline void finish(const lg_depthwise *l, const scales *of, sums s, mve_pred16_t active, int8_t *out)
{
    s.k0 = rescaled(l, of, s.k0, 0);
    s.k1 = rescaled(l, of, s.k1, 4);
    s.k2 = rescaled(l, of, s.k2, 8);
    s.k3 = rescaled(l, of, s.k3, 12);
    int16x8_t even = vqmovntq_s32(vqmovnbq_s32(vuninitializedq_s16(), s.k0), s.k2);
    int16x8_t odd = vqmovntq_s32(vqmovnbq_s32(vuninitializedq_s16(), s.k1), s.k3);
    even = vqaddq_n_s16(even, l->out_zero_point);
    odd = vqaddq_n_s16(odd, l->out_zero_point);
    int8x16_t all = vqmovntq_s16(vqmovnbq_s16(vuninitializedq_s8(), even), odd);
    all = vminq_s8(vmaxq_s8(all, vdupq_n_s8(l->act_min)), vdupq_n_s8(l->act_max));
    vstrbq_p_s8(out, all, active);
}

/* Up to sixteen channels of `pixels` pixels, the windows of which begin at byte `at` of the rows. */
static __attribute__((noinline)) void row_any(const lg_depthwise *l, const int8_t *const *rows, uint32_t group,
                                              uint32_t at, uint32_t pixels, mve_pred16_t active, int8_t *out)
{
    const uint32_t step = l->tap_step;
    const scales *const of = (const scales *)l->channels + group;
    const int8_t *const weights = (const int8_t *)l->weights + group * l->kernel_h * l->kernel_w * LANES;
    for (uint32_t x = pixels; x > 0u; x--) {
        const int8_t *w = weights;
        sums s = {vldrwq_s32(of->bias), vldrwq_s32(of->bias + 4), vldrwq_s32(of->bias + 8), vldrwq_s32(of->bias + 12)};
        const int8_t *odd = NULL; /* a row's last tap, which waits for the next row's first */
        for (uint32_t ky = 0; ky < l->kernel_h; ky++) {
            const int8_t *a = rows[ky * l->row_step] + at;
            uint32_t left = l->kernel_w;
            if (odd != NULL) {
                add_taps(&s, odd, a, w, active);
                odd = NULL;
                a += step;
                w += 2 * LANES;
                left--;
            }
            for (; left > 1u; left -= 2u) {
                add_taps(&s, a, a + step, w, active);
                a += 2u * step;
                w += 2 * LANES;
            }
            if (left > 0u) {
                odd = a;
            }
        }
        if (odd != NULL) {
            add_tap(&s, odd, w, active);
        }
        finish(l, of, s, active, out);
        at += l->x_step;
        out += l->in_c;
    }
}

/* Windows of 3x3, sixteen channels after sixteen. */
typedef struct {
    int8_t low[LANES], high[LANES]; /* bytes 0, 16 */
    uint32_t groups, pixels;        /* byte 32: of sixteen channels; > 0 */
    uint32_t skip, out_skip;        /* byte 40: from the end of a pixel's groups to the next pixel */
    const int8_t *weights;          /* byte 48 */
    const scales *of;
    uint32_t zero_point; /* byte 56 */
    int8_t *out;
    const int8_t *tap[9]; /* byte 64 */
} row_of_groups;

/* clang-format off */
#define ADD_PRODUCTS(even, odd, free)                            \
    "vmovlb.s16 " free ", " even "\nvadd.i32 q0, q0, " free "\n" \
    "vmovlb.s16 " free ", " odd "\nvadd.i32 q1, q1, " free "\n"  \
    "vmovlt.s16 " free ", " even "\nvadd.i32 q2, q2, " free "\n" \
    "vmovlt.s16 " free ", " odd "\nvadd.i32 q3, q3, " free "\n"
#define ADD_TAPS(a, b)                                       \
    "vldrb.8 q4, [" a "], #16\nvldrb.8 q6, [r9], #16\n"      \
    "vldrb.8 q5, [" b "]\n"                                  \
    "vmullb.s8 q7, q4, q6\nvmullt.s8 q4, q4, q6\n"           \
    "vldrb.8 q6, [r9], #16\n"                                \
    "vmullb.s8 q5, q5, q6\nvadd.i16 q7, q7, q5\n"            \
    "vldrb.8 q5, [" b "], #16\n"                             \
    "vmullt.s8 q5, q5, q6\nvadd.i16 q4, q4, q5\n" ADD_PRODUCTS("q7", "q4", "q5")
/* Half away from zero: one less of what is negative, before VRSHL rounds half up. */
#define AWAY(sum) "vshr.s32 q4, " sum ", #31\nvadd.i32 " sum ", " sum ", q4\n"
#define UP(sum) ""
/* Offsets from the next sixteen channels' scales, at r10. */
#define BIASES                    \
    "vldrw.32 q0, [r10], #192\n"  \
    "vldrw.32 q1, [r10, #-176]\n" \
    "vldrw.32 q2, [r10, #-160]\n" \
    "vldrw.32 q3, [r10, #-144]\n"
#define RESCALE(sum, away, multiplier, shift)                                     \
    "vldrw.32 q4, [r10, #-" multiplier "]\nvqrdmulh.s32 " sum ", " sum ", q4\n"   \
    away(sum)                                                                     \
    "vldrw.32 q4, [r10, #-" shift "]\nvrshl.s32 " sum ", " sum ", q4\n"
/* Outputs in q0; the zero point in r11, bounds at sp. */
#define OUTPUTS(away)                  \
    RESCALE("q0", away, "128", "64")   \
    RESCALE("q1", away, "112", "48")   \
    RESCALE("q2", away, "96", "32")    \
    RESCALE("q3", away, "80", "16")    \
    "vqmovnb.s32 q0, q0\n"             \
    "vqmovnt.s32 q0, q2\n"             \
    "vqmovnb.s32 q1, q1\n"             \
    "vqmovnt.s32 q1, q3\n"             \
    "vqadd.s16 q0, q0, r11\n"          \
    "vqadd.s16 q1, q1, r11\n"          \
    "vqmovnb.s16 q0, q0\n"             \
    "vqmovnt.s16 q0, q1\n"             \
    "vldrw.32 q4, [sp]\n"              \
    "vmax.s8  q0, q0, q4\n"            \
    "vldrw.32 q4, [sp, #16]\n"         \
    "vmin.s8  q0, q0, q4\n"
#define ROW(away)                                \
    "push     {r4-r11, lr}\n"                    \
    "vpush    {d8-d15}\n"                        \
    "push     {r0}\n"                            \
    "vldrw.32 q0, [r0]\n"                        \
    "vldrw.32 q1, [r0, #16]\n"                   \
    "vpush    {d0-d3}\n"                         \
    "ldrd     r11, r12, [r0, #56]\n"             \
    "add      lr, r0, #64\n"                     \
    "ldm      lr, {r0-r8}\n"                     \
    "1:\n"                                       \
    "ldr      lr, [sp, #32]\n"                   \
    "ldrd     r9, r10, [lr, #48]\n"              \
    "ldr      lr, [lr, #32]\n"                   \
    "2:\n"                                       \
    BIASES                                       \
    ADD_TAPS("r0", "r1")                         \
    ADD_TAPS("r2", "r3")                         \
    ADD_TAPS("r4", "r5")                         \
    ADD_TAPS("r6", "r7")                         \
    "vldrb.8  q4, [r8], #16\n"                   \
    "vldrb.8  q6, [r9], #16\n"                   \
    "vmullb.s8 q7, q4, q6\n"                     \
    "vmullt.s8 q4, q4, q6\n"                     \
    ADD_PRODUCTS("q7", "q4", "q5")               \
    OUTPUTS(away)                                \
    "vstrb.8  q0, [r12], #16\n"                  \
    "le       lr, 2b\n"                          \
    "ldr      r10, [sp, #32]\n"                  \
    "ldrd     r9, lr, [r10, #36]\n"              \
    "subs     r9, r9, #1\n"                      \
    "beq      3f\n"                              \
    "str      r9, [r10, #36]\n"                  \
    "ldr      r9, [r10, #44]\n"                  \
    "add      r12, r12, r9\n"                    \
    "cmp      lr, #0\n"                          \
    "beq      1b\n"                              \
    "add      r0, r0, lr\n"                      \
    "add      r1, r1, lr\n"                      \
    "add      r2, r2, lr\n"                      \
    "add      r3, r3, lr\n"                      \
    "add      r4, r4, lr\n"                      \
    "add      r5, r5, lr\n"                      \
    "add      r6, r6, lr\n"                      \
    "add      r7, r7, lr\n"                      \
    "add      r8, r8, lr\n"                      \
    "b        1b\n"                              \
    "3:\n"                                       \
    "add      sp, sp, #36\n"                     \
    "vpop     {d8-d15}\n"                        \
    "pop      {r4-r11, pc}\n"

__attribute__((naked, noinline)) static void row_3x3(__attribute__((unused)) row_of_groups *r)
{
    __asm__(ROW(AWAY));
}

/* The same where low is not below the zero point: how a half below it is rounded is lost. */
__attribute__((naked, noinline)) static void row_3x3_rectified(__attribute__((unused)) row_of_groups *r)
{
    __asm__(ROW(UP));
}

/* Windows of up to TAPS taps, sixteen channels after sixteen of one pixel. */
typedef struct {
    const int8_t *const *taps; /* of the first pixel */
    uint32_t pairs, odd;       /* of taps; one that is left, or none */
    const int8_t *weights;     /* byte 12 */
    const scales *of;
    uint32_t zero_point, active; /* byte 20 */
    int8_t low[LANES], high[LANES]; /* bytes 28, 44 */
} pixel_of_groups;

/* `groups` of them, `at` bytes from the first pixel. */
__attribute__((naked, noinline)) static void put_pixel(__attribute__((unused)) const pixel_of_groups *p,
                                                       __attribute__((unused)) uint32_t at,
                                                       __attribute__((unused)) uint32_t groups,
                                                       __attribute__((unused)) int8_t *out)
{
    __asm__("push     {r4-r11, lr}\n"
            "vpush    {d8-d15}\n"
            "vldrw.32 q0, [r0, #28]\n"
            "vldrw.32 q1, [r0, #44]\n"
            "vpush    {d0-d3}\n"
            "ldm      r0, {r4-r7, r10-r12}\n"
            "vmsr     p0, r12\n"
            "1:\n"
            BIASES
            "mov      r9, r4\n"
            "wls      lr, r5, 3f\n"
            "2:\n"
            "ldrd     r8, r12, [r9], #8\n"
            "add      r8, r8, r1\n"
            "add      r12, r12, r1\n"
            "vldrb.8  q6, [r7], #16\n"
            "vpstt\n"
            "vldrbt.8 q4, [r8]\n"
            "vldrbt.8 q5, [r12]\n"
            "vmullb.s8 q7, q4, q6\n"
            "vmullt.s8 q4, q4, q6\n"
            "vldrb.8  q6, [r7], #16\n"
            "vmullb.s8 q5, q5, q6\n"
            "vadd.i16 q7, q7, q5\n"
            "vpst\n"
            "vldrbt.8 q5, [r12]\n"
            "vmullt.s8 q5, q5, q6\n"
            "vadd.i16 q4, q4, q5\n"
            ADD_PRODUCTS("q7", "q4", "q5")
            "le       lr, 2b\n"
            "3:\n"
            "cbz      r6, 4f\n"
            "ldr      r8, [r9]\n"
            "add      r8, r8, r1\n"
            "vldrb.8  q6, [r7], #16\n"
            "vpst\n"
            "vldrbt.8 q4, [r8]\n"
            "vmullb.s8 q7, q4, q6\n"
            "vmullt.s8 q4, q4, q6\n"
            ADD_PRODUCTS("q7", "q4", "q5")
            "4:\n"
            OUTPUTS(AWAY)
            "vpst\n"
            "vstrbt.8 q0, [r3]\n"
            "add      r3, r3, #16\n"
            "add      r1, r1, #16\n"
            "subs     r2, r2, #1\n"
            "bne      1b\n"
            "add      sp, sp, #32\n"
            "vpop     {d8-d15}\n"
            "pop      {r4-r11, pc}\n");
}
#undef ROW
#undef OUTPUTS
#undef RESCALE
#undef BIASES
#undef UP
#undef AWAY
#undef ADD_TAPS
#undef ADD_PRODUCTS
/* clang-format on */

/* `groups` groups from one on, the last or only one `active`, of `pixels` pixels from byte `at` of the rows on. */
static void any_groups(const lg_depthwise *l, const int8_t *const *rows, uint32_t first, uint32_t groups, uint32_t at,
                       uint32_t pixels, mve_pred16_t active, int8_t *out)
{
    const uint32_t count = (uint32_t)l->kernel_h * l->kernel_w;
    const int8_t *taps[TAPS];
    if (l->any_shift != 0u || count > TAPS) {
        for (uint32_t g = 0; g < groups; g++) {
            row_any(l, rows, first + g, at + g * LANES, pixels, active, out + g * LANES);
        }
        return;
    }
    uint32_t tap = 0;
    for (uint32_t ky = 0; ky < l->kernel_h; ky++) {
        const int8_t *in = rows[ky * l->row_step];
        for (uint32_t kx = l->kernel_w; kx > 0u; kx--, in += l->tap_step) {
            taps[tap++] = in;
        }
    }
    pixel_of_groups p = {.taps = taps,
                         .pairs = count / 2u,
                         .odd = count % 2u,
                         .weights = (const int8_t *)l->weights + first * count * LANES,
                         .of = (const scales *)l->channels + first,
                         .zero_point = (uint32_t)(int32_t)l->out_zero_point,
                         .active = active};
    vstrbq_s8(p.low, vdupq_n_s8(l->act_min));
    vstrbq_s8(p.high, vdupq_n_s8(l->act_max));
    for (uint32_t x = pixels; x > 0u; x--, at += l->x_step, out += l->in_c) {
        put_pixel(&p, at, groups, out);
    }
}

/* Whole groups of sixteen channels, of `pixels` pixels that are x_step bytes apart, channels apart in the output. */
static void whole_groups(const lg_depthwise *l, const int8_t *const *rows, uint32_t groups, uint32_t pixels,
                         uint32_t x_step, uint32_t channels, int8_t *out)
{
    row_of_groups r = {.groups = groups,
                       .pixels = pixels,
                       .skip = x_step - groups * LANES,
                       .out_skip = channels - groups * LANES,
                       .weights = l->weights,
                       .of = l->channels,
                       .zero_point = (uint32_t)(int32_t)l->out_zero_point,
                       .out = out};
    vstrbq_s8(r.low, vdupq_n_s8(l->act_min));
    vstrbq_s8(r.high, vdupq_n_s8(l->act_max));
    for (uint32_t ky = 0; ky < 3u; ky++) {
        const int8_t *const row = rows[ky * l->row_step];
        r.tap[3u * ky] = row;
        r.tap[3u * ky + 1u] = row + l->tap_step;
        r.tap[3u * ky + 2u] = row + 2u * l->tap_step;
    }
    (l->act_min >= l->out_zero_point ? row_3x3_rectified : row_3x3)(&r);
}

void lg_depthwise_row_mve(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out)
{
    const int usual = layer->kernel_h == 3u && layer->kernel_w == 3u && layer->any_shift == 0u;
    uint32_t channels = layer->in_c, pixels = layer->out_w, x_step = layer->x_step, rest_pixels = pixels;
    const uint32_t flat = channels < LANES && LANES % channels == 0u && x_step == channels;
    uint32_t rest = channels % LANES, groups = channels / LANES;
    lg_depthwise wide = *layer;
    if (flat) {
        rest = pixels * channels % LANES;
        pixels = pixels * channels / LANES;
        groups = 1;
        rest_pixels = 1;
        channels = x_step = LANES;
        wide.in_c = wide.x_step = LANES;
    }
    if (pixels > 0u && groups > 0u) {
        if (usual) {
            whole_groups(layer, rows, groups, pixels, x_step, channels, out);
        } else {
            any_groups(&wide, rows, 0, groups, 0, pixels, vctp8q(LANES), out);
        }
    }
    if (rest > 0u) {
        const uint32_t group = flat ? 0u : groups, at = (flat ? pixels : groups) * LANES;
        any_groups(&wide, rows, group, 1, at, rest_pixels, vctp8q(rest), out + at);
    }
}

#else
typedef int lg_depthwise_row_mve_is_left_out;
#endif
