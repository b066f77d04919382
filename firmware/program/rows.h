/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of RAW codes to the host, in binary, beside the lines of text: firmware/rows.py reads them.
 *
 *   ROW_MARK, then, stuffed: frame number, row number, codes, CRC-32 of all these; then a newline
 *
 * Numbers are of 16 bits, codes of one byte or two, the most significant first. Stuffed: a byte is sent XOR ROW_MASK,
 * so that codes of the dark are none of those two; a newline or ROW_ESCAPE that comes of it is sent as ROW_ESCAPE and the
 * byte XOR ROW_FLIP. A newline therefore ends every row and every line, whatever was lost before it. */
#ifndef ROWS_H
#define ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "lg_board.h"
#include "lg_crc32.h"

enum { ROW_MARK = 0x02, ROW_MASK = 0xAA, ROW_ESCAPE = 0x1B, ROW_FLIP = 0x20 };

typedef struct {
    uint32_t crc;
    size_t used;
    uint8_t bytes[64];
} row_sender;

static void row_flush(row_sender *row)
{
    (void)lg_board_write(row->bytes, row->used);
    row->used = 0u;
}

static void row_stuff(row_sender *row, uint8_t byte)
{
    const uint8_t masked = (uint8_t)(byte ^ ROW_MASK);
    if (row->used + 2u > sizeof row->bytes) {
        row_flush(row);
    }
    if (masked == '\n' || masked == ROW_ESCAPE) {
        row->bytes[row->used++] = ROW_ESCAPE;
        row->bytes[row->used++] = (uint8_t)(masked ^ ROW_FLIP);
    } else {
        row->bytes[row->used++] = masked;
    }
}

/* `size` bytes of a number, 4 at most, the most significant first. */
static void row_number(row_sender *row, uint32_t value, size_t size)
{
    for (size_t left = size; left-- > 0u;) {
        const uint8_t byte = (uint8_t)(value >> (8u * left));
        row->crc = lg_crc32(row->crc, &byte, 1u);
        row_stuff(row, byte);
    }
}

static void row_begin(row_sender *row, uint32_t frame, uint32_t number)
{
    row->crc = 0u;
    row->bytes[0] = ROW_MARK;
    row->used = 1u;
    row_number(row, frame, 2u);
    row_number(row, number, 2u);
}

static void row_end(row_sender *row)
{
    static const char end = '\n';
    row_number(row, row->crc, 4u);
    row_flush(row);
    (void)lg_board_write(&end, 1u);
}

#endif
