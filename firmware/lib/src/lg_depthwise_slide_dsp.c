/* SPDX-License-Identifier: Apache-2.0 */
/* lg_depthwise_slide.h. Weights and bias of a channel stay in registers; what rescales it does not fit beside them, and
 * lies on the stack. */
#include "lg_bytes.h"
#include "lg_depthwise_slide.h"

#ifdef LG_DSP
#ifndef LG_DSP_EMULATE

#define IN_REGISTER __attribute__((unused))
/* clang-format off */
/* Entry in r0, weights in r1-r5, bias in r6. Windows that end: s, o; that begin: n, m. On the stack: multiplier, offset,
 * right, the next output. */
#define LOAD(at, turn)                       \
    "ldr    r9, [r0, #" at "]\n"             \
    "ldr    r10, [r0, #" at " + 4]\n"        \
    "ldr    r11, [r0, #" at " + 8]\n"        \
    "sxtb16 r9, r9" turn "\n"                \
    "sxtb16 r10, r10" turn "\n"              \
    "sxtb16 r11, r11" turn "\n"
#define BEGIN(n)                             \
    "smlad  " n ", r9, r1, r6\n"             \
    "smlad  " n ", r10, r2, " n "\n"         \
    "smlad  " n ", r11, r4, " n "\n"
#define BEGIN_BETWEEN(m)                     \
    "smlad  " m ", r10, r1, r6\n"            \
    "smlatb " m ", r11, r4, " m "\n"
#define END(s)                               \
    "smlad  " s ", r9, r3, " s "\n"          \
    "smlabt " s ", r11, r5, " s "\n"
#define END_BETWEEN(o)                       \
    "smlad  " o ", r9, r2, " o "\n"          \
    "smlad  " o ", r10, r3, " o "\n"         \
    "smlad  " o ", r11, r5, " o "\n"
#define SCALE                                \
    "ldr    r9, [sp]\n"                      \
    "ldr    r10, [sp, #4]\n"
#define MULTIPLY(s)                          \
    "smmlar r11, " s ", r9, r10\n"           \
    "add    " s ", r11, " s ", asr #31\n"
/* Carry: this was the last entry. */
#define PLACE(at)                            \
    "ldr    r9, [sp, #8]\n"                  \
    "ldr    r10, [sp, #12]\n"                \
    "ldr    r11, [r0, #" at " + 12]\n"       \
    "lsrs   r11, r11, #1\n"
#define SHIFT(s)                             \
    "asr    " s ", " s ", r9\n"              \
    "ssat   " s ", #8, " s "\n"
/* s, and o the second behind it. */
#define PUT(at, s, o)                                                                    \
    SCALE MULTIPLY(s) MULTIPLY(o) PLACE(at) SHIFT(s) SHIFT(o)                            \
    "strb   " o ", [r10, r11]\n"                                                         \
    "strb   " s ", [r10]\n"                                                              \
    "add    r10, r10, r11, lsl #1\n"                                                     \
    "str    r10, [sp, #12]\n"
#define TWO(at, turn, s, o, n, m)                                                        \
    LOAD(at, turn) BEGIN(n) BEGIN_BETWEEN(m) END(s) END_BETWEEN(o) PUT(at, s, o)
#define CHANNEL                              \
    "ldr    r0, [sp, #20]\n"                 \
    "ldm    r0!, {r1-r5}\n"                  \
    "str    r0, [sp, #20]\n"                 \
    "ldr    r0, [sp, #24]\n"                 \
    "ldm    r0!, {r6, r9, r10, r11}\n"       \
    "str    r0, [sp, #24]\n"                 \
    "ldr    r0, [sp, #28]\n"                 \
    "str    r0, [sp, #12]\n"                 \
    "add    r0, #1\n"                        \
    "str    r0, [sp, #28]\n"                 \
    "stm    sp, {r9, r10, r11}\n"            \
    "ldr    r0, [sp, #16]\n"
#define SLIDE(begin, first, second)          \
    CHANNEL begin                            \
    "1:\n" first                             \
    "bcs    2f\n" second                     \
    "add    r0, #32\n"                       \
    "bcc    1b\n"                            \
    "2:\n"
/* Both channels of the entries, then the next two. */
#define CHANNELS(even, odd)                  \
    "push   {r4-r11, lr}\n"                  \
    "ldm    r0, {r1-r6}\n"                   \
    "push   {r1-r6}\n"                       \
    "sub    sp, #16\n"                       \
    "0:\n" even                              \
    "ldr    r0, [sp, #24]\n"                 \
    "ldr    r1, [sp, #36]\n"                 \
    "cmp    r0, r1\n"                        \
    "beq    3f\n" odd                        \
    "ldr    r0, [sp, #24]\n"                 \
    "ldr    r1, [sp, #36]\n"                 \
    "ldr    r2, [sp, #16]\n"                 \
    "ldr    r3, [sp, #32]\n"                 \
    "add    r2, r3\n"                        \
    "str    r2, [sp, #16]\n"                 \
    "cmp    r0, r1\n"                        \
    "bne    0b\n"                            \
    "3:\n"                                   \
    "add    sp, #40\n"                       \
    "pop    {r4-r11, pc}\n"
#define EVEN ""
#define ODD ", ror #8"

/* Rows in r0-r2, the left column's place in them r3, the right one's r4, two columns r5; entries in r6 and r7, 8 bytes on;
 * r8 where the columns end. */
__attribute__((naked)) void lg_depthwise_order_dsp(IN_REGISTER const lg_depthwise_order *o)
{
#define PACK(x, y, at, end)                  \
    "pkhbt  lr, " x ", " y ", lsl #16\n"     \
    "pkhtb  " y ", " y ", " x ", asr #16\n"  \
    "str    lr, [r6, #" at "]" end "\n"      \
    "str    " y ", [r7, #" at "]" end "\n"
    __asm__("push   {r4-r11, lr}\n"
            "ldm    r0, {r0-r3, r5, r6, r7, r8, r9}\n"
            "push   {r3, r5, r7-r9}\n" /* odd, step, apart, pairs, fours */
            "sub    r6, #8\n"
            "lsl    r5, r5, #1\n"
            "1:\n"
            "ldr    r7, [sp, #8]\n"
            "ldr    r8, [sp, #12]\n"
            "ldr    r4, [sp, #4]\n"
            "mov    r3, #0\n"
            "add    r7, r6\n"
            "2:\n"
            "ldr    r9, [r0, r3]\n"
            "ldr    r10, [r1, r3]\n"
            "ldr    r11, [r0, r4]\n"
            "ldr    r12, [r1, r4]\n" PACK("r9", "r10", "8", "") PACK("r11", "r12", "12", "")
            "ldr    r9, [r2, r3]\n"
            "ldr    r10, [r2, r4]\n" PACK("r9", "r10", "16", "!")
            "add    r3, r5\n"
            "add    r4, r5\n"
            "cmp    r3, r8\n"
            "blt    2b\n"
            "bgt    3f\n"
            "ldr    r9, [sp]\n"
            "mov    r4, r3\n"
            "cmp    r9, #0\n"
            "bne    2b\n"
            "3:\n"
            "ldr    r9, [sp, #16]\n"
            "mov    r6, r7\n"
            "add    r0, #4\n"
            "add    r1, #4\n"
            "add    r2, #4\n"
            "subs   r9, #1\n"
            "str    r9, [sp, #16]\n"
            "bne    1b\n"
            "add    sp, #20\n"
            "pop    {r4-r11, pc}\n");
#undef PACK
}

__attribute__((naked)) void lg_depthwise_slide1_dsp(IN_REGISTER const lg_depthwise_slide *s)
{
#define PAIRS(turn)                                                                      \
    SLIDE(LOAD("0", turn) BEGIN("r7") BEGIN_BETWEEN("r8"),                               \
          TWO("16", turn, "r7", "r8", "r12", "lr"), TWO("32", turn, "r12", "lr", "r7", "r8"))
    __asm__(CHANNELS(PAIRS(EVEN), PAIRS(ODD)));
#undef PAIRS
}

__attribute__((naked)) void lg_depthwise_slide2_dsp(IN_REGISTER const lg_depthwise_slide *s)
{
#define SINGLES(turn)                                                                    \
    CHANNEL LOAD("0", turn) BEGIN("r7")                                                  \
    "4:\n" LOAD("16", turn) BEGIN("r12") END("r7")                                       \
    "ldr    r11, [r0, #28]\n"                                                            \
    "lsrs   r11, r11, #1\n"                                                              \
    "bcs    5f\n" LOAD("32", turn) BEGIN("r8") END("r12") PUT("32", "r7", "r12")         \
    "mov    r7, r8\n"                                                                    \
    "add    r0, #32\n"                                                                   \
    "bcc    4b\n"                                                                        \
    "b      6f\n"                                                                        \
    "5:\n" SCALE MULTIPLY("r7") PLACE("16") SHIFT("r7")                                  \
    "strb   r7, [r10]\n"                                                                 \
    "6:\n"
    __asm__(CHANNELS(SINGLES(EVEN), SINGLES(ODD)));
#undef SINGLES
}
/* clang-format on */

#else

void lg_depthwise_order_dsp(const lg_depthwise_order *o)
{
    uint32_t *to = o->to;
    const uint32_t apart = o->apart / 4u;
    for (uint32_t channel = 0; channel < 4u * o->fours; channel += 4u, to += apart) {
        for (uint32_t left = 0; left < o->pairs + o->odd * o->step; left += 2u * o->step, to += 4) {
            const uint32_t right = left == o->pairs ? left : left + o->step;
            const uint32_t a0 = lg_load4(o->a + channel + left), a1 = lg_load4(o->a + channel + right);
            const uint32_t b0 = lg_load4(o->b + channel + left), b1 = lg_load4(o->b + channel + right);
            const uint32_t c0 = lg_load4(o->c + channel + left), c1 = lg_load4(o->c + channel + right);
            uint32_t *const second = to + apart;
            to[0] = lg_low_halves(a0, b0);
            to[1] = lg_low_halves(a1, b1);
            to[2] = lg_low_halves(c0, c1);
            second[0] = lg_high_halves(a0, b0);
            second[1] = lg_high_halves(a1, b1);
            second[2] = lg_high_halves(c0, c1);
        }
    }
}

static uint32_t pair_of(uint32_t word, uint32_t odd)
{
    return odd != 0u ? lg_widen_odd(word) : lg_widen_even(word);
}

/* x.low * the low, the high half of w; x.high * the low half. */
static int32_t low_low(uint32_t x, int32_t w)
{
    return lg_low_half(x) * lg_low_half((uint32_t)w);
}

static int32_t low_high(uint32_t x, int32_t w)
{
    return lg_low_half(x) * lg_high_half((uint32_t)w);
}

static void slide(const lg_depthwise_slide *s, uint32_t windows)
{
    const uint32_t *columns = s->columns;
    const int32_t *w = s->weights;
    uint32_t odd = 0;
    int8_t *first = s->out;
    for (const lg_dsp_channel *c = s->channel; c != s->last; c++, w += 5, odd ^= 1u) {
        int32_t end = 0, between = 0;
        int8_t *out = first++;
        for (const uint32_t *e = columns;; e += 4) {
            const uint32_t left = pair_of(e[0], odd), right = pair_of(e[1], odd), last = pair_of(e[2], odd);
            const uint32_t step = e[3] >> 1;
            if (e != columns) {
                end = lg_smlad(left, (uint32_t)w[2], end) + low_high(last, w[4]);
                if (windows == 2u) {
                    between = lg_smlad(last, (uint32_t)w[4],
                                       lg_smlad(right, (uint32_t)w[2], lg_smlad(left, (uint32_t)w[1], between)));
                    out[step] = (int8_t)lg_ssat8(lg_rescale(between, c->multiplier, c->offset, c->right));
                }
                *out = (int8_t)lg_ssat8(lg_rescale(end, c->multiplier, c->offset, c->right));
                out += windows * step;
                if (e[3] % 2u == 1u) {
                    break;
                }
            }
            end = lg_smlad(last, (uint32_t)w[3],
                           lg_smlad(right, (uint32_t)w[1], lg_smlad(left, (uint32_t)w[0], c->bias)));
            between = lg_smlad(right, (uint32_t)w[0], c->bias) + low_low(last >> 16, w[3]);
        }
        columns += odd != 0u ? s->columns_step / 4u : 0u;
    }
}

void lg_depthwise_slide1_dsp(const lg_depthwise_slide *s)
{
    slide(s, 2);
}

void lg_depthwise_slide2_dsp(const lg_depthwise_slide *s)
{
    slide(s, 1);
}

#endif
#else
typedef int lg_depthwise_slide_dsp_is_left_out;
#endif
