/* SPDX-License-Identifier: Apache-2.0 */
/* Pixels of `channels` bytes from one spacing to another. */
#include <string.h>

#include "lg_elementwise.h"

void lg_copy_pixels(const int8_t *in, uint32_t pixels, uint32_t channels, uint32_t in_step, uint32_t out_step,
                    int8_t *out)
{
    for (uint32_t i = 0; i < pixels; i++) {
        memcpy(out + i * out_step, in + i * in_step, channels);
    }
}
