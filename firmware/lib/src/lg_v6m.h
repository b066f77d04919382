/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernels for cores with 16-bit instructions alone (M0, M0+) share. */
#ifndef LG_V6M_H
#define LG_V6M_H

#include "lg_requant.h"

#if defined(LG_NO_LONG_MULTIPLY) && defined(__GNUC__)
#define LG_V6M

/* clang-format off */
/* lg_requant_double and lg_output_s8 of r0, shift < 0. In r1, r2 the halves of the multiplier, in r3 -shift, in r7 what
 * has low and high at offset LIMITS, in r8 2^14, in r9 the zero point; r4-r6 are lost. LABEL is a number of its own. */
#define LG_V6M_OUTPUT(limits, label)          \
    "uxth r4, r0\n"                           \
    "asrs r0, r0, #16\n"                      \
    "movs r5, r4\n"                           \
    "muls r5, r1\n"                           \
    "lsrs r5, r5, #16\n"                      \
    "muls r4, r2\n"                           \
    "adds r4, r4, r5\n"                       \
    "movs r6, r0\n"                           \
    "muls r6, r1\n"                           \
    "muls r0, r2\n"                           \
    "uxth r5, r4\n"                           \
    "adds r6, r6, r5\n"                       \
    "lsrs r4, r4, #16\n"                      \
    "adds r0, r0, r4\n"                       \
    "add  r6, r8\n"                           \
    "asrs r6, r6, #16\n" /* carry: what is rounded up */ \
    "add  r0, r6\n"                           \
    "adcs r0, r0\n"                           \
    "asrs r4, r0, #31\n"                      \
    "adds r0, r0, r4\n"                       \
    "asrs r0, r3\n"                           \
    "movs r4, #0\n"                           \
    "adcs r0, r4\n"                           \
    "add  r0, r9\n"                           \
    "ldr  r4, [r7, #" limits "]\n"            \
    "ldr  r5, [r7, #" limits " + 4]\n"        \
    "cmp  r0, r4\n"                           \
    "bge  " label "1f\n"                      \
    "movs r0, r4\n"                           \
    label "1:\n"                              \
    "cmp  r0, r5\n"                           \
    "ble  " label "2f\n"                      \
    "movs r0, r5\n"                           \
    label "2:\n"
/* clang-format on */

#endif
#endif
