/* SPDX-License-Identifier: Apache-2.0 */
/* A map: an activation as rows, of which only some are held, in a ring.
 *
 *   | left | pixels of row r | right | to the next multiple of 4 |       at place + (r mod rows) * row_bytes
 *
 * left and right are padding: bytes of the zero point, so that a kernel's window never has to look where the image
 * ends. Rows above and below the image are one constant row of the same bytes, shared by all maps with that zero
 * point. */
#ifndef LG_MAP_H
#define LG_MAP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t place;       /* of ring row 0 in the arena */
    uint16_t rows;        /* held, 1..height */
    uint16_t height;      /* rows of the image */
    uint32_t row_bytes;   /* from one row to the next */
    uint32_t pixels;      /* bytes of a row's pixels */
    uint16_t left, right; /* bytes of padding */
    int8_t pad;           /* what padding holds */
} lg_map;

/* The pixels of a row. */
static inline int8_t *lg_map_row(const lg_map *map, int8_t *arena, uint32_t row)
{
    return arena + map->place + row % map->rows * map->row_bytes + map->left;
}

/* Write the padding round the pixels of a new row. */
void lg_map_pad(const lg_map *map, int8_t *pixels);

/* The `count` rows of a window from row `first` on (which may lie outside the image), `left` bytes ahead of their
 * pixels. padding: a constant row of map->pad, as long as the window and LG_ROW_SLACK. */
void lg_map_window(const lg_map *map, int8_t *arena, int32_t first, uint32_t count, uint32_t left,
                   const int8_t *padding, const int8_t **rows);

/* Only those rows of the window that lie in the image, at their pixels; returns how many. */
uint32_t lg_map_inside(const lg_map *map, int8_t *arena, int32_t first, uint32_t count, const int8_t **rows);

/* Write n bytes to bytes `position`, ... of the whole map (rows = height), counted without padding. */
void lg_map_append(const lg_map *map, int8_t *arena, uint32_t position, const int8_t *in, uint32_t n);

#ifdef __cplusplus
}
#endif

#endif
