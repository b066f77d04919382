/* SPDX-License-Identifier: Apache-2.0 */
/* What the harnesses round a network share. expected.h is written beside the network that a harness is compiled with:
 * FRAMES frames of codes, and what TFLite's reference kernels make of them. */
#ifndef LG_NETWORK_H
#define LG_NETWORK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expected.h"
#include "lg_law.h"
#include "net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
