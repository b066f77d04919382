/* SPDX-License-Identifier: Apache-2.0 */
/* What the convolutions for MVE share: windows, byte after byte. */
#ifndef LG_CONV_MVE_H
#define LG_CONV_MVE_H

#include "lg_conv.h"
#include "lg_mve.h"

#if defined(__ARM_FEATURE_MVE)

enum { WINDOWS = 4, CHANNELS = 4, VECTOR = 16, PIECE = 256, ROOM = 2560 };

#define IN_REGISTER __attribute__((unused))

/* Scales and biases of CHANNELS channels. */
typedef struct {
    int32_t bias[CHANNELS], multiplier[CHANNELS], shift[CHANNELS];
} lg_mve_channels;

/* Where four windows lie: bytes from the first to each of them in a row, and from one to the next where they are laid
 * out. */
typedef struct {
    uint32_t offset[WINDOWS], apart;
} lg_mve_four;

/* n > 0 bytes of each of four windows; nothing else is read or written. */
void lg_mve_copy_four(int8_t *to, const int8_t *window, const lg_mve_four *four, uint32_t n);

/* Windows that are one run of whole vectors are read where they lie. */
static inline int lg_conv_in_place(const lg_conv *layer)
{
    return layer->kernel_h == 1u && layer->runs == 1u && layer->run_bytes % VECTOR == 0u;
}

/* lg_conv_row_mve where no pool follows, all shifts are below 0 and four windows fit or are read in place. */
void lg_conv_pixels_mve(const lg_conv *layer, const int8_t *const *rows, int8_t *out);

#endif
#endif
