/* SPDX-License-Identifier: Apache-2.0 */
#include "lg_cells.h"

/* The class of a cell, and its margin. */
static int32_t judged(const lg_cells *cells, const int8_t *map, uint32_t place, uint32_t *label)
{
    const int8_t *const scores = map + place * cells->scores;
    uint32_t best = 1u;
    for (uint32_t i = 2u; i < cells->scores; i++) {
        best = scores[i] > scores[best] ? i : best;
    }
    *label = best - 1u;
    return scores[best] - scores[0];
}

/* Has no neighbour of the same class a larger margin, and none ahead of it an equal one? */
static uint32_t stands(const lg_cells *cells, const int8_t *map, uint32_t row, uint32_t column, int32_t margin,
                       uint32_t label)
{
    const uint32_t top = row > 0u ? row - 1u : 0u, left = column > 0u ? column - 1u : 0u;
    const uint32_t place = row * cells->columns + column;
    for (uint32_t y = top; y <= row + 1u && y < cells->rows; y++) {
        for (uint32_t x = left; x <= column + 1u && x < cells->columns; x++) {
            const uint32_t there = y * cells->columns + x;
            uint32_t other;
            const int32_t its = judged(cells, map, there, &other);
            if (other == label && (its > margin || (its == margin && there < place))) {
                return 0u;
            }
        }
    }
    return 1u;
}

uint32_t lg_cells_next(const lg_cells *cells, const int8_t *map, uint32_t rows, uint32_t *place, lg_object *object)
{
    /* Of the last row that is there a neighbour may be missing yet. */
    const uint32_t known = rows >= cells->rows ? cells->rows : rows > 0u ? rows - 1u : 0u;
    while (*place < known * cells->columns) {
        const uint32_t here = (*place)++;
        uint32_t label;
        const int32_t margin = judged(cells, map, here, &label);
        const uint32_t row = here / cells->columns, column = here - row * cells->columns;
        if (margin >= cells->threshold && stands(cells, map, row, column, margin, label) != 0u) {
            object->row = (uint16_t)row;
            object->column = (uint16_t)column;
            object->label = (uint16_t)label;
            object->margin = (int16_t)margin;
            return 1u;
        }
    }
    return 0u;
}
