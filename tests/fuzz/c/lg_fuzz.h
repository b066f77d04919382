/* SPDX-License-Identifier: Apache-2.0 */
/* What the harnesses of the C share. expected.h is written beside the network that a harness is compiled with: FRAMES
 * frames of codes, and what TFLite's reference kernels make of them. */
#ifndef LG_FUZZ_H
#define LG_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expected.h"
#include "net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* End the run unless a law holds; the fuzzer keeps the input that broke it. */
#define REQUIRE(law)                                            \
    do {                                                        \
        if (!(law)) {                                           \
            (void)fprintf(stderr, "does not hold: %s\n", #law); \
            abort();                                            \
        }                                                       \
    } while (0)

#endif
