/* SPDX-License-Identifier: Apache-2.0 */
/* Rolling from the right end, a code follows from the one to its right without a division:
 *   s[i] = radix * s[i + 1] + level[i] - radix^pixels * level[i + pixels],   codes[i] = s[i] + n * sum_j radix^j
 * with s the code of the bare levels, below zero too. */
#include "lg_table_conv.h"

typedef struct {
    int32_t radix, power, bias, sum;
} rolling;

static inline uint8_t roll(rolling *r, int32_t enters, int32_t leaves)
{
    r->sum = r->sum * r->radix + enters - r->power * leaves;
    return (uint8_t)(r->sum + r->bias);
}

static inline int32_t level_at(const int8_t *levels, int32_t width, int32_t i)
{
    return i >= 0 && i < width ? levels[i] : 0;
}

void lg_level_codes(const int8_t *levels, uint32_t width, uint32_t left, uint32_t radix, uint32_t pixels,
                    uint32_t count, uint8_t *codes)
{
    const int32_t w = (int32_t)width;
    const int32_t p = (int32_t)pixels;
    rolling r = {.radix = (int32_t)radix, .power = 1, .bias = 0, .sum = 0};
    for (uint32_t j = 0; j < pixels; j++) {
        r.bias += (r.radix - 1) / 2 * r.power;
        r.power *= r.radix;
    }
    const int32_t first = -(int32_t)left;
    int32_t i = first + (int32_t)count; /* one past the last code */
    for (int32_t x = i + p - 1; x >= i; x--) {
        (void)roll(&r, level_at(levels, w, x), 0);
    }
    codes += count;
    while (i > first) {
        const int32_t inside = i < w - p ? i : 0; /* codes left of i that never look outside */
        if (inside >= 4) {
            const int8_t *level = levels + i;
            for (const int8_t *end = levels + (inside & 3); level != end;) {
                level -= 4;
                codes -= 4;
                codes[3] = roll(&r, level[3], level[3 + p]);
                codes[2] = roll(&r, level[2], level[2 + p]);
                codes[1] = roll(&r, level[1], level[1 + p]);
                codes[0] = roll(&r, level[0], level[0 + p]);
            }
            i = inside & 3;
        } else {
            i--;
            *--codes = roll(&r, level_at(levels, w, i), level_at(levels, w, i + p));
        }
    }
}
