/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of two windows for cores with 16-bit instructions alone (M0, M0+), where a load takes two cycles and a product one:
 * a byte a of one window and the byte b of the other are a word a - (b << 16), so one product with a weight is two.
 *
 *   x = word0 * weight0 + word1 * weight1 = (a0 weight0 + a1 weight1) - (b0 weight0 + b1 weight1 << 16)
 *
 * Each half fits: a sum of two products is -32512..32768, so (x + 32767) >> 16 is that of b, negative. With these added
 * up in `high` and x in `low`, modulo 2^32, the sum of b is -high and that of a is low - (high << 16). */
#ifndef LG_CONV_PACKED_H
#define LG_CONV_PACKED_H

#include "lg_conv.h"
#include "lg_v6m.h"

enum { PACKED = 32, ROUNDING = 32767 };

typedef struct {
    int32_t low, high;
} packed_sums;

/* clang-format off */
/* A word of two taps' inputs each in r2 and r3; weights of four channels at r1. FIRST and SECOND bring one channel's
 * weight out of a word. */
#define TWO_TAPS(first, second, at, next)                    \
    "ldm  r0!, {r2, r3}\n"                                   \
    "ldr  r4, [r1, #" at "]\n"                               \
    second("r5", "r4") "muls r5, r2\n"                       \
    first("r4", "r4") "muls r4, r2\n"                        \
    "ldr  r2, [r1, #" next "]\n"                             \
    second("r6", "r2") "muls r6, r3\nadds r5, r6\n"          \
    first("r2", "r2") "muls r2, r3\nadds r4, r2\n"           \
    "add  r8, r4\nadds r4, r7\nasrs r4, #16\nadd r9, r4\n"   \
    "add  r10, r5\nadds r5, r7\nasrs r5, #16\nadd r11, r5\n"
#define BYTE_0(to, of) "sxtb " to ", " of "\n"
#define BYTE_1(to, of) "lsls " to ", " of ", #16\nasrs " to ", #24\n"
#define BYTE_2(to, of) "lsls " to ", " of ", #8\nasrs " to ", #24\n"
#define BYTE_3(to, of) "asrs " to ", " of ", #24\n"
/* n, words, weights and sums are at sp. Sums are in r8-r11, the end of the words is in r12. */
#define TWO_CHANNELS(first, second)                       \
    "ldr  r0, [sp, #12]\n"                                \
    "ldm  r0!, {r4-r7}\n"                                 \
    "mov  r8, r4\nmov r9, r5\nmov r10, r6\nmov r11, r7\n" \
    "movs r7, #1\nlsls r7, #15\nsubs r7, #1\n"            \
    "ldr  r2, [sp]\n"                                     \
    "ldr  r0, [sp, #4]\n"                                 \
    "ldr  r1, [sp, #8]\n"                                 \
    "lsls r2, #2\n"                                       \
    "adds r3, r0, r2\n"                                   \
    "mov  r12, r3\n"                                      \
    "lsls r2, #28\n"                                      \
    "beq  1f\n"                                           \
    "subs r1, #8\n"                                       \
    "b    2f\n"                                           \
    "1:\n" TWO_TAPS(first, second, "0", "4")              \
    "2:\n" TWO_TAPS(first, second, "8", "12")             \
    "adds r1, #16\n"                                      \
    "cmp  r0, r12\n"                                      \
    "bne  1b\n"                                           \
    "ldr  r0, [sp, #12]\n"                                \
    "mov  r4, r8\nmov r5, r9\nmov r6, r10\nmov r7, r11\n" \
    "stm  r0!, {r4-r7}\n"                                 \
    "str  r0, [sp, #12]\n"

/* Adds n taps, an even number above 0, of four channels. weights: [n][4], whole words. */
__attribute__((naked, noinline)) static void add_pairs(__attribute__((unused)) uint32_t n,
                                                       __attribute__((unused)) const int32_t *words,
                                                       __attribute__((unused)) const int8_t *weights,
                                                       __attribute__((unused)) packed_sums sums[4])
{
    __asm__(".syntax unified\n"
            "push {r4-r7, lr}\n"
            "mov  r4, r8\nmov r5, r9\nmov r6, r10\nmov r7, r11\n"
            "push {r0-r7}\n"
            TWO_CHANNELS(BYTE_0, BYTE_1)
            TWO_CHANNELS(BYTE_2, BYTE_3)
            "add  sp, #16\n"
            "pop  {r4-r7}\n"
            "mov  r8, r4\nmov r9, r5\nmov r10, r6\nmov r11, r7\n"
            "pop  {r4-r7, pc}\n");
}
#undef TWO_CHANNELS
#undef BYTE_0
#undef BYTE_1
#undef BYTE_2
#undef BYTE_3
#undef TWO_TAPS
/* clang-format on */

/* The outputs of some channels of two windows, from their sums; all shifts are below 0. */
typedef struct {
    const packed_sums *sums;
    const lg_channel *channels, *end; /* byte 4 */
    int32_t zero_point, low, high;    /* byte 12 */
    uint32_t step; /* byte 24: from the outputs of the first window to those of the second, or 0: none */
} packed_outputs;

/* clang-format off */
__attribute__((naked, noinline)) static void put_packed(__attribute__((unused)) packed_outputs *o,
                                                        __attribute__((unused)) int8_t *out)
{
    /* The output in r11, the sum of the first window in r10. */
    __asm__(".syntax unified\n"
            "push {r4-r7, lr}\n"
            "mov  r4, r8\nmov r5, r9\nmov r6, r10\nmov r7, r11\n"
            "push {r4-r7}\n"
            "mov  r7, r0\n"
            "mov  r11, r1\n"
            "movs r4, #1\n"
            "lsls r4, r4, #14\n"
            "mov  r8, r4\n"
            "ldr  r4, [r7, #12]\n"
            "mov  r9, r4\n"
            "1:\n"
            "ldr  r0, [r7, #4]\n"
            "ldm  r0!, {r1-r3}\n"
            "ldr  r4, [r7]\n"
            "ldm  r4!, {r5, r6}\n"
            "str  r0, [r7, #4]\n"
            "str  r4, [r7]\n"
            "subs r0, r1, r6\n"
            "adds r1, r1, r5\n"
            "lsls r6, r6, #16\n"
            "subs r1, r1, r6\n"
            "mov  r10, r1\n"
            "rsbs r3, r3, #0\n"
            "uxth r1, r2\n"
            "lsrs r2, r2, #16\n"
            LG_V6M_OUTPUT("16", "1")
            "mov  r4, r11\n"
            "ldr  r5, [r7, #24]\n"
            "strb r0, [r4, r5]\n"
            "mov  r0, r10\n"
            LG_V6M_OUTPUT("16", "2")
            "mov  r4, r11\n"
            "strb r0, [r4]\n"
            "adds r4, #1\n"
            "mov  r11, r4\n"
            "ldr  r0, [r7, #4]\n"
            "ldr  r1, [r7, #8]\n"
            "cmp  r0, r1\n"
            "bne  1b\n"
            "pop  {r4-r7}\n"
            "mov  r8, r4\nmov r9, r5\nmov r10, r6\nmov r11, r7\n"
            "pop  {r4-r7, pc}\n");
}
/* clang-format on */

static inline void add_word(packed_sums *sums, int32_t x)
{
    sums->low = (int32_t)((uint32_t)sums->low + (uint32_t)x);
    sums->high += (int32_t)((uint32_t)x + ROUNDING) >> 16;
}

/* n > 0 taps of four channels. */
static void add_packed(const int32_t *words, uint32_t n, const int8_t *weights, packed_sums sums[4])
{
    if (n % 2u > 0u) {
        for (uint32_t c = 0; c < 4u; c++) {
            add_word(sums + c, *words * weights[c]);
        }
        words++;
        weights += 4;
        if (--n == 0u) {
            return;
        }
    }
    add_pairs(n, words, weights, sums);
}

/* The same of one channel. */
static void add_packed_one(const int32_t *words, uint32_t n, const int8_t *weights, packed_sums *sums)
{
    packed_sums s = *sums;
    for (uint32_t i = 0; i < n; i++) {
        add_word(&s, words[i] * weights[i]);
    }
    *sums = s;
}

/* Bytes from .. from + n - 1 of the window that begins x bytes into each row, and of the one `step` further. */
static void pack(const lg_conv *layer, const int8_t *const *rows, uint32_t x, uint32_t step, uint32_t from, uint32_t n,
                 int32_t *words)
{
    const uint32_t run_bytes = layer->run_bytes;
    uint32_t run = 0, skip = from;
    for (; skip >= run_bytes; skip -= run_bytes) {
        if (++run == layer->runs) {
            run = 0;
            rows += layer->row_step;
        }
    }
    for (const int32_t *const end = words + n; words != end; skip = 0) {
        const int8_t *in = *rows + x + run * layer->run_step + skip;
        const uint32_t rest = run_bytes - skip, left = (uint32_t)(end - words);
        for (const int8_t *const stop = in + (rest < left ? rest : left); in != stop; in++) {
            *words++ = *in - ((int32_t)in[step] * 65536);
        }
        if (++run == layer->runs) {
            run = 0;
            rows += layer->row_step;
        }
    }
}

#endif
