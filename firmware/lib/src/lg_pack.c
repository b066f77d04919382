#include "lg_pack.h"

#include <stddef.h>

/* Per packing: pixels a byte, weight of a digit, highest |level|. Two's-complement digits have radix 4 or 16 and
 * wrap; base digits are offset by the highest level. */
typedef struct {
    uint8_t pixels;
    uint8_t radix;
    uint8_t limit;
    uint8_t offset;
} pack_rule;

static const pack_rule rules[] = {
    {1, 0, 127, 0}, /* LG_PACK_S8 */
    {4, 4, 1, 0},   /* LG_PACK_2BIT */
    {5, 3, 1, 1},   /* LG_PACK_BASE3 */
    {3, 5, 2, 2},   /* LG_PACK_BASE5 */
    {2, 16, 7, 0},  /* LG_PACK_4BIT */
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

static uint32_t digit_of(const pack_rule *rule, int32_t level)
{
    return rule->offset != 0u ? (uint32_t)(level + rule->offset) : (uint32_t)level & (rule->radix - 1u);
}

static int8_t level_of(const pack_rule *rule, uint32_t digit)
{
    if (rule->offset != 0u) {
        return (int8_t)((int32_t)digit - rule->offset);
    }
    return (int8_t)(digit >= rule->radix / 2u ? (int32_t)digit - rule->radix : (int32_t)digit);
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
    for (uint32_t x = 0; x < width; x += rule->pixels) {
        if (packing == LG_PACK_S8) {
            packed[x] = (uint8_t)levels[x];
            continue;
        }
        uint32_t byte = 0;
        for (uint32_t i = rule->pixels; i-- > 0u;) {
            byte = byte * rule->radix + digit_of(rule, x + i < width ? levels[x + i] : 0);
        }
        *packed++ = (uint8_t)byte;
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
        if (packing == LG_PACK_S8) {
            levels[x] = (int8_t)(packed[x] < 128u ? packed[x] : packed[x] - 256);
            continue;
        }
        uint32_t byte = *packed++;
        for (uint32_t i = 0; i < rule->pixels && x + i < width; i++) {
            levels[x + i] = level_of(rule, byte % rule->radix);
            byte /= rule->radix;
        }
    }
    return LG_OK;
}
