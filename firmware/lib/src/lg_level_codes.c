/* Rolling from the right end, a code follows from the one to its right without a division:
 *   s[i] = radix * s[i + 1] + level[i] - radix^pixels * level[i + pixels],   codes[i] = s[i] + n * sum_j radix^j
 * with s the code of the bare levels, below zero too. */
#include "lg_table_conv.h"

static int32_t level_at(const int8_t *levels, int32_t width, int32_t i)
{
    return i >= 0 && i < width ? levels[i] : 0;
}

void lg_level_codes(const int8_t *levels, uint32_t width, uint32_t left, uint32_t radix, uint32_t pixels, uint32_t count,
                    uint8_t *codes)
{
    const int32_t n = ((int32_t)radix - 1) / 2;
    int32_t bias = 0;
    int32_t power = 1;
    for (uint32_t j = 0; j < pixels; j++) {
        bias += n * power;
        power *= (int32_t)radix;
    }
    int32_t sum = 0;
    const int32_t first = -(int32_t)left;
    const int32_t last = first + (int32_t)count - 1;
    for (int32_t i = last + (int32_t)pixels; i > last; i--) {
        sum = sum * (int32_t)radix + level_at(levels, (int32_t)width, i);
    }
    for (int32_t i = last; i >= first; i--) {
        sum = sum * (int32_t)radix + level_at(levels, (int32_t)width, i) -
              power * level_at(levels, (int32_t)width, i + (int32_t)pixels);
        codes[i - first] = (uint8_t)(sum + bias);
    }
}
