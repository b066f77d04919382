/* SPDX-License-Identifier: Apache-2.0 */
/* Front ends made of a table: the input formats that are not levels.
 *
 *   per pixel  (jpeg8, raw16):  out = table[P],                         table int8_t[span + 1]
 *   gradient   (loggrad_fp):    g   = T[U] + T[L] - T[D] - T[R],        T int16_t[span + 1], 2^11 per unit of ln
 *                               out = clamp((g + 32) >> 6, -128, 127)   (floor shift)
 *
 * T[P] = round(2^11 ln(P + c)): four roundings of at most 2^-12 leave g within 2^-10 of the log gradient, and out, but
 * for the clamp, within 1/2 + 2^-5 of 32 times it. The table takes 2 (span + 1) bytes: 512 bytes at 8 bits, 8 KB at 12,
 * 128 KB at 16.
 *
 * P = clip(raw - black, 0, span), span = white - black. Borders, delay and life cycle of the gradient
 * are those of lg_quantizer.h. */
#ifndef LG_TABLE_H
#define LG_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "lg_line.h"
#include "lg_raw.h"
#include "lg_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* line: raw->width codes, aligned to code_bytes (else LG_ERROR_ALIGNMENT); table: int8_t[table_length],
 * table_length = span + 1; out: int8_t[width]. raw->height is not looked at. Line in, line out, no state. */
lg_status lg_table_line(const lg_raw_format *raw, const int8_t *table, uint32_t table_length, const void *line,
                        uint32_t width, int8_t *out);

/* The loop of the gradient; its rule is the table. */
lg_line_walk lg_gradient_line;

/* State. Fields are private. */
typedef struct {
    lg_line_store store;
} lg_table_gradient;

/* table: int16_t[table_length], table_length = span + 1; any values. memory as for lg_quantizer_init:
 * LG_LINE_STORE_BYTES(width, code_bytes). The caller keeps raw, table and memory. */
lg_status lg_table_gradient_init(lg_table_gradient *state, const lg_raw_format *raw, const int16_t *table,
                                 uint32_t table_length, void *memory, size_t memory_size);

/* lg_table_gradient_init without a check, as lg_quantizer_start. */
void lg_table_gradient_start(lg_table_gradient *state, const lg_raw_format *raw, const int16_t *table, void *memory);

void lg_table_gradient_restart(lg_table_gradient *state);

/* As lg_quantizer_push and lg_quantizer_flush; out: int8_t[width]. */
lg_status lg_table_gradient_push(lg_table_gradient *state, const void *line, uint32_t width, int8_t *out);
lg_status lg_table_gradient_flush(lg_table_gradient *state, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
