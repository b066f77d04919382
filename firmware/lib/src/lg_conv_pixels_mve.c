/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D for MVE (Cortex-M55), two output pixels at a time: sums of all their channels, rescaled where they are made.
 *
 * VMLADAVA multiplies 16 bytes of a window with 16 weights and adds the products to one sum; a vector of each of two
 * windows and of four channels is eight of them. Windows lie in the rows, where they are one run of whole vectors, or
 * are laid out once for all channels; filters are padded to whole vectors with zeros. */
#include "lg_conv_mve.h"

#if defined(__ARM_FEATURE_MVE)

/* Pairs of pixels. */
typedef struct {
    const int8_t *a, *b;       /* windows of the first pair */
    uint32_t more;             /* vectors of each beyond the first */
    int32_t zero_point;        /* byte 12 */
    uint32_t step;             /* from the outputs of a to those of b */
    const int8_t *end;         /* byte 20: of the outputs of a */
    const int8_t *weights;     /* byte 24 */
    const lg_mve_channels *of; /* byte 28 */
    uint32_t advance;          /* byte 32: from the windows of a pair to those of the next */
    uint32_t count;            /* of pairs */
    int32_t low, high;         /* byte 40 */
} pixels;

/* clang-format off */
/* What two pixels take, and what one does. */
#define PAIRS(two, one) two
#define SINGLE(two, one) one
/* One channel: weights in q2 or q3, windows in q0 and q1. Sums are in even registers, as VMLADAV demands. */
#define CHANNEL(of, how, q, a, b)          \
    "vldrb.8 " q ", [r11], #16\n"          \
    "vmladav" how ".s8 " a ", q0, " q "\n" \
    of("vmladav" how ".s8 " b ", q1, " q "\n", "")
#define TAPS(of, how)                       \
    "vldrb.8 q0, [r1], #16\n"               \
    of("vldrb.8 q1, [r3], #16\n", "")       \
    CHANNEL(of, how, "q2", "r0", "r8")      \
    CHANNEL(of, how, "q3", "r2", "r10")     \
    CHANNEL(of, how, "q2", "r4", "r12")     \
    CHANNEL(of, how, "q3", "r6", "lr")
/* Half away from zero: one less of what is negative, before VRSHL rounds half up. */
#define AWAY(sums) "vshr.s32 q3, " sums ", #31\n" "vadd.i32 " sums ", " sums ", q3\n"
#define UP(sums) ""
#define OUTPUTS(of, away)                                       \
    "push         {r4-r11, lr}\n"                               \
    "vpush        {d8-d15}\n"                                   \
    "mov          r5, r1\n"                                     \
    "ldm          r0, {r1-r4, r6-r11}\n"                        \
    "push         {r1-r4, r6-r11}\n"                            \
    "ldrd         r1, r2, [r0, #40]\n"                          \
    "vdup.32      q6, r1\n"                                     \
    "vdup.32      q7, r2\n"                                     \
    "0:\n"                                                      \
    "ldrd         r11, r9, [sp, #24]\n"                         \
    "1:\n"                                                      \
    "ldm          sp, {r1, r3, r7}\n"                           \
    TAPS(of, "")                                                \
    "cbz          r7, 4f\n"                                     \
    "lsrs         r7, r7, #1\n"                                 \
    "bcs          3f\n"                                         \
    "subs         r7, r7, #1\n"                                 \
    "2:\n" TAPS(of, "a")                                        \
    "3:\n" TAPS(of, "a")                                        \
    "subs         r7, r7, #1\n"                                 \
    "bpl          2b\n"                                         \
    "4:\n"                                                      \
    "vldrw.32     q2, [r9], #16\n"                              \
    "vmov         q4[2], q4[0], r0, r4\n"                       \
    "vmov         q4[3], q4[1], r2, r6\n"                       \
    "vadd.i32     q4, q4, q2\n"                                 \
    of("vmov      q5[2], q5[0], r8, r12\n"                      \
       "vmov      q5[3], q5[1], r10, lr\n"                      \
       "vadd.i32  q5, q5, q2\n", "")                            \
    "vldrw.32     q2, [r9], #16\n"                              \
    "vqrdmulh.s32 q4, q4, q2\n"                                 \
    of("vqrdmulh.s32 q5, q5, q2\n", "")                         \
    away("q4") of(away("q5"), "")                               \
    "vldrw.32     q2, [r9], #16\n"                              \
    "vrshl.s32    q4, q4, q2\n"                                 \
    of("vrshl.s32 q5, q5, q2\n", "")                            \
    "ldrd         r0, r2, [sp, #12]\n"                          \
    "ldr          r4, [sp, #20]\n"                              \
    "subs         r4, r4, r5\n"                                 \
    "vctp.32      r4\n"                                         \
    "vadd.i32     q4, q4, r0\n"                                 \
    "vmax.s32     q4, q4, q6\n"                                 \
    "vmin.s32     q4, q4, q7\n"                                 \
    of("vadd.i32  q5, q5, r0\n"                                 \
       "vmax.s32  q5, q5, q6\n"                                 \
       "vmin.s32  q5, q5, q7\n"                                 \
       "add       r2, r2, r5\n"                                 \
       "vpstt\n"                                                \
       "vstrbt.32 q4, [r5], #4\n"                               \
       "vstrbt.32 q5, [r2]\n",                                  \
       "vpst\n"                                                 \
       "vstrbt.32 q4, [r5], #4\n")                              \
    "cmp          r4, #4\n"                                     \
    "bhi          1b\n"                                         \
    of("ldm       sp, {r0, r1, r2, r3, r4, r5}\n"               \
       "ldrd      r6, r7, [sp, #32]\n"                          \
       "add       r0, r0, r6\n"                                 \
       "add       r1, r1, r6\n"                                 \
       "strd      r0, r1, [sp]\n"                               \
       "add       r5, r5, r4\n"                                 \
       "add       r4, r5, r4\n"                                 \
       "str       r4, [sp, #20]\n"                              \
       "subs      r7, r7, #1\n"                                 \
       "str       r7, [sp, #36]\n"                              \
       "bne       0b\n", "")                                    \
    "add          sp, sp, #40\n"                                \
    "vpop         {d8-d15}\n"                                   \
    "pop          {r4-r11, pc}\n"
#define PIXELS(name, of, away)                                                                                   \
    __attribute__((naked, noinline)) static void name(IN_REGISTER const pixels *p, IN_REGISTER int8_t *out) \
    {                                                                                                            \
        __asm__(OUTPUTS(of, away));                                                                              \
    }

/* All outputs of pairs of pixels, or of pixel a alone, from out on. Rectified: low is not below the zero point, so how a
 * half below it is rounded is lost. */
PIXELS(put_pairs, PAIRS, AWAY)
PIXELS(put_pairs_rectified, PAIRS, UP)
PIXELS(put_single, SINGLE, AWAY)
#undef PIXELS
#undef OUTPUTS
#undef UP
#undef AWAY
#undef TAPS
#undef CHANNEL
#undef SINGLE
#undef PAIRS
/* clang-format on */

__attribute__((naked, noinline)) void lg_mve_copy_four(IN_REGISTER int8_t *to, IN_REGISTER const int8_t *window,
                                                       IN_REGISTER const lg_mve_four *four, IN_REGISTER uint32_t n)
{
    __asm__("push    {r4-r8, lr}\n"
            "ldr     r8, [r2, #16]\n"
            "ldrd    r4, r5, [r2, #4]\n"
            "ldr     r2, [r2, #12]\n"
            "add     r4, r4, r1\n"
            "add     r5, r5, r1\n"
            "add     r2, r2, r1\n"
            "add     r6, r0, r8\n"
            "add     r7, r6, r8\n"
            "add     r12, r7, r8\n"
            "dlstp.8 lr, r3\n"
            "1:\n"
            "vldrb.8 q0, [r1], #16\n"
            "vldrb.8 q1, [r4], #16\n"
            "vldrb.8 q2, [r5], #16\n"
            "vldrb.8 q3, [r2], #16\n"
            "vstrb.8 q0, [r0], #16\n"
            "vstrb.8 q1, [r6], #16\n"
            "vstrb.8 q2, [r7], #16\n"
            "vstrb.8 q3, [r12], #16\n"
            "letp    lr, 1b\n"
            "pop     {r4-r8, pc}\n");
}

/* `count` windows from x on, to where they are multiplied. */
static void lay_out(const lg_conv *layer, const int8_t *const *rows, uint32_t x, uint32_t count, uint32_t apart,
                    int8_t *to)
{
    const uint32_t n = layer->run_bytes, step = layer->x_step;
    lg_mve_four four = {{0u, step, 2u * step, 3u * step}, apart};
    for (; count > 0u; x += WINDOWS * step, to += WINDOWS * apart) {
        if (count < WINDOWS) {
            four.offset[1] = count > 1u ? step : 0u;
            four.offset[2] = four.offset[3] = (count - 1u) * step;
        }
        const int8_t *const *row = rows;
        int8_t *at = to;
        for (uint32_t ky = layer->kernel_h; ky > 0u; ky--, row += layer->row_step) {
            const int8_t *in = *row + x;
            for (uint32_t run = layer->runs; run > 0u; run--, in += layer->run_step, at += n) {
                lg_mve_copy_four(at, in, &four, n);
            }
        }
        count -= count < WINDOWS ? count : WINDOWS;
    }
}

void lg_conv_pixels_mve(const lg_conv *layer, const int8_t *const *rows, int8_t *out)
{
    int8_t laid_out[ROOM];
    const uint32_t vectors = ((uint32_t)layer->kernel_h * layer->runs * layer->run_bytes + VECTOR - 1u) / VECTOR;
    const uint32_t out_w = layer->out_w, out_c = layer->out_c;
    const int in_place = lg_conv_in_place(layer);
    const int rectified = layer->act_min >= layer->out_zero_point;
    const uint32_t apart = in_place ? layer->x_step : vectors * VECTOR;
    const uint32_t together = in_place ? out_w : ROOM / (WINDOWS * apart) * WINDOWS;
    pixels p = {.more = vectors - 1u,
                .zero_point = layer->out_zero_point,
                .step = out_c,
                .weights = layer->weights,
                .of = layer->channels,
                .advance = 2u * apart,
                .low = layer->act_min,
                .high = layer->act_max};
    for (uint32_t x = 0, count; x < out_w; x += count) {
        count = out_w - x < together ? out_w - x : together;
        if (in_place) {
            p.a = *rows;
        } else {
            lay_out(layer, rows, x * layer->x_step, count, apart, laid_out);
            p.a = laid_out;
        }
        p.b = p.a + apart;
        p.end = out + out_c;
        p.count = count / 2u;
        if (p.count > 0u) {
            (rectified ? put_pairs_rectified : put_pairs)(&p, out);
        }
        out += count * out_c;
        if (count % 2u > 0u) {
            p.a += (count - 1u) * apart;
            p.end = out;
            put_single(&p, out - out_c);
        }
    }
}

#else
typedef int lg_conv_pixels_mve_is_left_out;
#endif
