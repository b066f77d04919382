/* SPDX-License-Identifier: Apache-2.0 */
#include "lg_log_softmax.h"

#include "lg_reciprocal.h"

/* x / 2^n, ties away from zero. */
static int32_t lowered(int32_t x, int32_t n)
{
    const int32_t below = x - (x < 0 ? 1 : 0);
    return lg_floor_shift(below, n) + (lg_floor_shift(below, n - 1) & 1);
}

/* x = 2^power r with r round 2^(-1/4), then a rational approximation of log(r) about that. Constants are in 2^-31,
 * sums of powers in 2^-25. */
int32_t lg_log(int32_t x)
{
    enum { LOG_2 = 1488522236, ROOT_OF_HALF = 1518500250, FOURTH_ROOT = 1805811301 };
    const int32_t zeros = lg_leading_zeros((uint32_t)x);
    const int32_t scaled = lg_high(x, ROOT_OF_HALF);
    const int32_t scaled_zeros = lg_leading_zeros((uint32_t)scaled) - 1;
    const int32_t r_a = lg_raised(lg_high((int32_t)((uint32_t)x << (zeros - 1)), ROOT_OF_HALF), 1);
    const int32_t r_b = lg_raised(x, scaled_zeros);
    const int32_t power_a = (12 - zeros) * (1 << 25) + (1 << 23);
    const int32_t power_b = (12 - scaled_zeros) * (1 << 25) - (1 << 23);
    const int32_t r = r_a < r_b ? r_a : r_b, power = power_a > power_b ? power_a : power_b;

    const int32_t p = (int32_t)(((uint32_t)r + FOURTH_ROOT + 1u) >> 1);
    const int32_t q = 2 * (r - FOURTH_ROOT), size = q < 0 ? -q : q;
    const int32_t square = lg_high(size, size);
    const int32_t numerator = lg_high(q, r) + lg_high(lg_high(q, square), 117049297);
    const int32_t denominator =
        lg_high(1057819769 + q + lg_high(square, 127690142), p) + lg_high(q, 638450708);
    return 2 * (lg_high(power, LOG_2) + lg_high(lowered(numerator, 6), lg_reciprocal(denominator)));
}

void lg_log_softmax_row(const lg_log_softmax *layer, const int8_t *in, int8_t *out)
{
    const uint32_t channels = layer->channels;
    for (uint32_t x = 0; x < layer->pixels; x++, in += channels, out += channels) {
        int32_t maximum = -128;
        for (uint32_t c = 0; c < channels; c++) {
            maximum = in[c] > maximum ? in[c] : maximum;
        }
        int32_t sum = 0;
        for (uint32_t c = 0; c < channels; c++) {
            sum += layer->exponentials[maximum - in[c]];
        }
        const int32_t log = lg_log(sum);
        /* Of differences from here on the result would leave 32 bits. */
        const int32_t far = lg_requant_double(log + INT32_MIN, layer->inverse, layer->back);
        const int32_t limit = far > layer->least - 1 ? far : layer->least - 1;
        for (uint32_t c = 0; c < channels; c++) {
            const int32_t difference = in[c] - maximum;
            int32_t value = -128;
            if (difference > limit) {
                value = lowered(lg_requant_double(difference, layer->multiplier, layer->shift) - log, 22) + 127;
            }
            out[c] = lg_clamp_s8(value, -128, 127);
        }
    }
}
