/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LG_LAW_H
#define LG_LAW_H

#include <stdio.h>
#include <stdlib.h>

/* End the run unless a law holds; the fuzzer keeps the input that broke it. */
#define REQUIRE(law)                                            \
    do {                                                        \
        if (!(law)) {                                           \
            (void)fprintf(stderr, "does not hold: %s\n", #law); \
            abort();                                            \
        }                                                       \
    } while (0)

#endif
