/* SPDX-License-Identifier: Apache-2.0 */
/* LOG_SOFTMAX of each pixel of a row, in the fixed point of TFLite:
 *   out[c] = in[c] - maximum - log(sum of exp(in[i] - maximum)), of scale 1/16 and zero point 127. */
#ifndef LG_LOG_SOFTMAX_H
#define LG_LOG_SOFTMAX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint16_t pixels, channels;   /* at most 4095 channels, so that sums stay below 2^31 */
    int16_t least;               /* lower differences to the maximum count nothing: -256..0 */
    int32_t multiplier, shift;   /* a difference to the maximum, in 2^-26 */
    int32_t inverse, back;       /* multiplier and shift the other way */
    const int32_t *exponentials; /* [256]: of -d, in 2^-19; 0 where -d is below least */
} lg_log_softmax;

/* log(x) in 2^-26 of an x in 2^-19 that is at least 1. */
int32_t lg_log(int32_t x);

/* in, out: pixels * channels bytes; they may be the same. */
void lg_log_softmax_row(const lg_log_softmax *layer, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
