/* SPDX-License-Identifier: Apache-2.0 */
/* TRANSPOSE, a row of the input at a time. */
#include "lg_moves.h"

void lg_transpose_row(const lg_transpose *layer, const lg_map *map, int8_t *arena, uint32_t y, const int8_t *in)
{
    for (uint32_t x = 0; x < layer->pixels; x++) {
        uint32_t at = y * layer->y_step + x * layer->x_step;
        for (uint32_t c = 0; c < layer->channels; c++) {
            const uint32_t row = at / map->pixels;
            lg_map_row(map, arena, row)[at - row * map->pixels] = *in++;
            at += layer->c_step;
        }
    }
}
