/* SPDX-License-Identifier: Apache-2.0 */
#include "lg_map.h"

#include <string.h>

#if defined(__GNUC__)
#define ALIGNED(p) __builtin_assume_aligned((p), 4)
#else
#define ALIGNED(p) (p)
#endif

/* n bytes of one value, by words where there are many. */
static void fill(int8_t *to, uint32_t n, int8_t value)
{
    if (n >= 8u) {
        const uint32_t word = (uint8_t)value * 0x01010101u;
        for (; (uintptr_t)to % 4u != 0u; n--) {
            *to++ = value;
        }
        for (; n >= 4u; n -= 4u, to += 4) {
            memcpy(ALIGNED(to), &word, sizeof word);
        }
    }
    for (; n > 0u; n--) {
        *to++ = value;
    }
}

void lg_map_pad(const lg_map *map, int8_t *pixels)
{
    if (map->left > 0u) {
        fill(pixels - map->left, map->left, map->pad);
    }
    if (map->right > 0u) {
        fill(pixels + map->pixels, map->right, map->pad);
    }
}

void lg_map_window(const lg_map *map, int8_t *arena, int32_t first, uint32_t count, uint32_t left,
                   const int8_t *padding, const int8_t **rows)
{
    for (uint32_t i = 0; i < count; i++) {
        const int32_t row = first + (int32_t)i;
        rows[i] = row < 0 || row >= map->height ? padding : lg_map_row(map, arena, (uint32_t)row) - left;
    }
}

uint32_t lg_map_inside(const lg_map *map, int8_t *arena, int32_t first, uint32_t count, const int8_t **rows)
{
    uint32_t inside = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int32_t row = first + (int32_t)i;
        if (row >= 0 && row < map->height) {
            rows[inside++] = lg_map_row(map, arena, (uint32_t)row);
        }
    }
    return inside;
}

void lg_map_append(const lg_map *map, int8_t *arena, uint32_t position, const int8_t *in, uint32_t n)
{
    uint32_t row = position / map->pixels;
    uint32_t column = position - row * map->pixels;
    for (uint32_t i = 0; i < n; i++) {
        if (column == map->pixels) {
            row++;
            column = 0;
        }
        lg_map_row(map, arena, row)[column++] = in[i];
    }
}
