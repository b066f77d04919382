/* SPDX-License-Identifier: Apache-2.0 */
/* SOFTMAX of each pixel of a row, in the fixed point of TFLite:
 *   out[c] = exp(in[c] - maximum) / (sum of exp(in[i] - maximum)), of scale 1/256 and zero point -128. */
#ifndef LG_SOFTMAX_H
#define LG_SOFTMAX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint16_t pixels, channels;   /* at most 4095 channels, so that sums stay below 2^31 */
    const int32_t *exponentials; /* [256]: of -d, in 2^-31; 0 where that counts nothing */
} lg_softmax;

/* in, out: pixels * channels bytes; they may be the same. */
void lg_softmax_row(const lg_softmax *layer, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
