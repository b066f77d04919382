/* SPDX-License-Identifier: Apache-2.0 */
/* Where a convolution finds its rows, and which layer it makes. */
typedef struct {
    const lg_map *in, *out;
    const int8_t *padding; /* a row of it */
    uint16_t step, before; /* row y begins at input row y * step - before */
    uint16_t count;        /* rows of the window */
    uint16_t left;         /* bytes of padding ahead of the pixels */
    uint16_t layer;
} conv_place;

/* The first column of a part of a row; *columns becomes how many it has. */
static uint32_t cut(const span *part, uint16_t *columns)
{
    const uint32_t first = *columns * part->begin / part->of;
    *columns = (uint16_t)(*columns * part->end / part->of - first);
    return first;
}

/* The rows of the windows of row y, `skip` bytes of each left out. */
static void open_rows(net_state *net, uint32_t y, const conv_place *place, uint32_t skip, const int8_t **rows)
{
    const int32_t first = (int32_t)(y * place->step) - (int32_t)place->before;
    lg_map_window(place->in, arena(net), first, place->count, place->left, place->padding, rows);
    for (uint32_t i = 0; i < place->count; i++) {
        rows[i] += skip;
    }
}

