/* Cases of objects found in a detector's scores while its map grows. */
#include "lg_case.h"
#include "lg_cells.h"

enum { CELLS = 96 };

/* words: rows, columns, scores, threshold; array: the map. Answer: for each row as it comes, how many objects are
 * known with it, and of each row, column, label, margin; then the ticks of the search. */
static bool run_case(uint32_t operation)
{
    if (operation != CELLS) {
        return false;
    }
    read_into(words, 4u * sizeof words[0]);
    const lg_cells cells = {(uint16_t)words[0], (uint16_t)words[1], (uint16_t)words[2], (int16_t)words[3]};
    const size_t row_bytes = (size_t)cells.columns * cells.scores;
    /* Rows that are not there yet hold what take() leaves. */
    int8_t *map = take(cells.rows * row_bytes);
    lg_object *found = take((size_t)cells.rows * cells.columns * sizeof *found);
    uint32_t place = 0u, ticks = 0u;
    for (uint32_t rows = 0u; rows <= cells.rows; rows++) {
        if (rows > 0u) {
            read_into(map + (rows - 1u) * row_bytes, row_bytes);
        }
        uint32_t count = 0u;
        const uint32_t start = lg_board_ticks();
        while (lg_cells_next(&cells, map, rows, &place, found + count) != 0u) {
            count++;
        }
        ticks += lg_board_ticks() - start;
        reply_word(count);
        for (uint32_t i = 0u; i < count; i++) {
            reply_word(found[i].row);
            reply_word(found[i].column);
            reply_word(found[i].label);
            reply_word((uint32_t)(int32_t)found[i].margin);
        }
    }
    reply_word(ticks);
    return true;
}
