/* SPDX-License-Identifier: Apache-2.0 */
/* From a detector's scores to objects: the rule of loggrad_tf/detect/decode.py, bit for bit.
 *
 * A cell's class is the one of its largest score, the background left aside; of equal ones the first. Its margin is
 * that score less the background's. A cell is an object if its margin is at least the threshold, and no neighbour of
 * the same class, of up to eight, has a larger one; of neighbours with equal margins the first by rows and columns is
 * the object. So the objects of a row are known once the row below it is there. Nothing is held but a place. */
#ifndef LG_CELLS_H
#define LG_CELLS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint16_t rows, columns; /* of the grid, 1.. each */
    uint16_t scores;        /* of a cell, 2..: the background's first, then one a class */
    int16_t threshold;      /* least margin; margins are -255..255 */
} lg_cells;

typedef struct {
    uint16_t row, column; /* of the cell */
    uint16_t label;       /* the class, from 0; the background is none */
    int16_t margin;
} lg_object;

/* The next object in the order of rows and columns: 1, and it is *object; 0 if there is none in the rows so far.
 *   map    scores of the grid, a cell's side by side, cells by rows and columns
 *   rows   how many rows of it are there, 0..cells->rows
 *   place  the cell to go on from: *place is 0 at the beginning of a map */
uint32_t lg_cells_next(const lg_cells *cells, const int8_t *map, uint32_t rows, uint32_t *place, lg_object *object);

#ifdef __cplusplus
}
#endif

#endif
