/* SPDX-License-Identifier: Apache-2.0 */
#include "lg_raw.h"

lg_status lg_raw_check(const lg_raw_format *raw)
{
    if (raw->width == 0u) {
        return LG_ERROR_WIDTH;
    }
    if (raw->height == 0u) {
        return LG_ERROR_HEIGHT;
    }
    if (raw->bits < 8u || raw->bits > 16u || raw->code_bytes < 1u || raw->code_bytes > 2u ||
        raw->bits > 8u * raw->code_bytes) {
        return LG_ERROR_CODES;
    }
    if (raw->black >= raw->white || raw->white > (1u << raw->bits) - 1u) {
        return LG_ERROR_LEVELS;
    }
    return LG_OK;
}
