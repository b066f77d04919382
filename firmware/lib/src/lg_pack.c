/* SPDX-License-Identifier: Apache-2.0 */
#include "lg_pack.h"

#include <stddef.h>

/* byte = (sum_i (level_i + offset) * radix^i) ^ flip: two's complement is offset binary with its top bits flipped.
 * bias = sum_i offset * radix^i. */
typedef struct {
    uint8_t pixels;
    uint8_t radix;
    uint8_t limit;
    uint8_t offset;
    uint8_t bias;
    uint8_t flip;
} pack_rule;

static const pack_rule rules[] = {
    [LG_PACK_S8] = {.pixels = 1, .radix = 1, .limit = 127, .offset = 128, .bias = 128, .flip = 0x80},
    [LG_PACK_2BIT] = {.pixels = 4, .radix = 4, .limit = 1, .offset = 2, .bias = 170, .flip = 0xAA},
    [LG_PACK_BASE3] = {.pixels = 5, .radix = 3, .limit = 1, .offset = 1, .bias = 121, .flip = 0},
    [LG_PACK_BASE5] = {.pixels = 3, .radix = 5, .limit = 2, .offset = 2, .bias = 62, .flip = 0},
    [LG_PACK_4BIT] = {.pixels = 2, .radix = 16, .limit = 7, .offset = 8, .bias = 136, .flip = 0x88},
};

static const pack_rule *rule_of(lg_packing packing)
{
    const uint32_t index = (uint32_t)packing;
    return index < sizeof rules / sizeof rules[0] ? &rules[index] : NULL;
}

uint32_t lg_packed_bytes(lg_packing packing, uint32_t width)
{
    const pack_rule *rule = rule_of(packing);
    return rule == NULL ? 0u : (width + rule->pixels - 1u) / rule->pixels;
}

int32_t lg_packing_limit(lg_packing packing)
{
    const pack_rule *rule = rule_of(packing);
    return rule == NULL ? 0 : rule->limit;
}

lg_status lg_pack_levels(lg_packing packing, const int8_t *levels, uint32_t width, uint8_t *packed)
{
    const pack_rule *rule = rule_of(packing);
    if (rule == NULL) {
        return LG_ERROR_PACKING;
    }
    if (levels == NULL || packed == NULL) {
        return LG_ERROR_NULL;
    }
    const int32_t radix = rule->radix;
    for (uint32_t x = 0; x < width; x += rule->pixels) {
        const uint32_t n = width - x < rule->pixels ? width - x : rule->pixels;
        int32_t sum = 0;
        for (uint32_t i = n; i-- > 0u;) {
            sum = sum * radix + levels[x + i];
        }
        *packed++ = (uint8_t)((uint32_t)(sum + rule->bias) ^ rule->flip);
    }
    return LG_OK;
}

lg_status lg_unpack_levels(lg_packing packing, const uint8_t *packed, uint32_t width, int8_t *levels)
{
    const pack_rule *rule = rule_of(packing);
    if (rule == NULL) {
        return LG_ERROR_PACKING;
    }
    if (levels == NULL || packed == NULL) {
        return LG_ERROR_NULL;
    }
    for (uint32_t x = 0; x < width; x += rule->pixels) {
        uint32_t digits = (uint32_t)*packed++ ^ rule->flip;
        for (uint32_t i = 0; i < rule->pixels && x + i < width; i++) {
            const uint32_t digit = rule->pixels == 1u ? digits : digits % rule->radix;
            levels[x + i] = (int8_t)((int32_t)digit - rule->offset);
            digits /= rule->radix;
        }
    }
    return LG_OK;
}
