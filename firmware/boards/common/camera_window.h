/* SPDX-License-Identifier: Apache-2.0 */
/* How many rows a window has: LG_CAMERA_ROWS where the build defines it (CMakePresets.json), as it does for windows that are
 * no squares, else as many as codes of a row. */
#ifndef CAMERA_WINDOW_H
#define CAMERA_WINDOW_H

#include <stdint.h>

static inline uint32_t window_rows(uint32_t codes)
{
#ifdef LG_CAMERA_ROWS
    (void)codes;
    return LG_CAMERA_ROWS;
#else
    return codes;
#endif
}

#endif
