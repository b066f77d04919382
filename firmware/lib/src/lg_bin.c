/* SPDX-License-Identifier: Apache-2.0 */
/* A pixel lies where its sum was, or left of it where a code is a byte: what is overwritten has been read. The bits
 * that a _wide sum has above 16 lie in bytes behind the sums. With the DSP extension codes are made linear a word at a
 * time. */
#include "lg_bin.h"

#include <stdbool.h>
#include <stddef.h>

#include "lg_dsp.h"
#include "lg_inline.h"

/* What a loop is made for, constants of the call. */
typedef struct {
    uint32_t factor, code_bytes;
    bool wide;
} bin_kind;

typedef enum { FIRST, BETWEEN, LAST } bin_turn;

#ifdef LG_DSP
/* In every byte, or in both halves. */
LG_INLINE uint32_t repeated(uint32_t code, bin_kind kind)
{
    return code * (kind.code_bytes == 1u ? 0x01010101u : 0x00010001u);
}

/* min(x, span) = x - max(x - span, 0): no borrow goes from one code to the next. */
LG_INLINE uint32_t linear_sum(uint32_t word, uint32_t blacks, uint32_t spans, bin_kind kind)
{
    if (kind.code_bytes == 1u) {
        word = lg_uqsub8(word, blacks);
        return lg_sum4(word - lg_uqsub8(word, spans));
    }
    word = lg_uqsub16(word, blacks);
    word -= lg_uqsub16(word, spans);
    return (word & 0xFFFFu) + (word >> 16);
}

/* The linear codes of k columns. */
LG_INLINE uint32_t columns(const uint8_t *codes, uint32_t black, uint32_t span, bin_kind kind)
{
    const uint32_t blacks = repeated(black, kind), spans = repeated(span, kind);
    uint32_t word = 0u;
    if (kind.factor * kind.code_bytes == 2u) {
        memcpy(&word, codes, 2u);
        return linear_sum(word, blacks, spans, kind);
    }
    word = lg_load4(codes);
    const uint32_t sum = linear_sum(word, blacks, spans, kind);
    return kind.factor * kind.code_bytes == 4u ? sum : sum + linear_sum(lg_load4(codes + 4), blacks, spans, kind);
}
#else
LG_INLINE uint32_t linear(const uint8_t *codes, uint32_t x, uint32_t black, uint32_t span, bin_kind kind)
{
    const int32_t code = (int32_t)lg_load_code(codes, x, kind.code_bytes) - (int32_t)black;
    const int32_t positive = code < 0 ? 0 : code;
    return (uint32_t)positive > span ? span : (uint32_t)positive;
}

/* The linear codes of k columns. */
LG_INLINE uint32_t columns(const uint8_t *codes, uint32_t black, uint32_t span, bin_kind kind)
{
    const uint32_t sum = linear(codes, 0u, black, span, kind) + linear(codes, 1u, black, span, kind);
    if (kind.factor == 2u) {
        return sum;
    }
    return sum + linear(codes, 2u, black, span, kind) + linear(codes, 3u, black, span, kind);
}
#endif

/* One row of a row of squares. */
LG_INLINE void bin_turn_row(const lg_raw_format *raw, const uint8_t *codes, uint16_t *sums, bin_turn turn,
                            bin_kind kind)
{
    const uint32_t black = raw->black, span = (uint32_t)raw->white - black;
    const uint32_t pixels = raw->width / kind.factor;
    const uint32_t square = kind.factor * kind.factor;
    uint8_t *const more = (uint8_t *)(sums + pixels);
    for (uint32_t x = 0u; x < pixels; x++) {
        uint32_t sum = columns(codes, black, span, kind);
        codes += kind.factor * kind.code_bytes;
        if (turn != FIRST) {
            sum += sums[x] + (kind.wide ? (uint32_t)more[x] << 16 : 0u);
        }
        if (turn == LAST) {
            lg_store_code(sums, x, kind.code_bytes, (sum + square / 2u) / square);
            continue;
        }
        sums[x] = (uint16_t)sum;
        if (kind.wide) {
            more[x] = (uint8_t)(sum >> 16);
        }
    }
}

LG_INLINE lg_status bin_row(const lg_raw_format *raw, const void *codes, uint32_t row, uint16_t *sums, bin_kind kind)
{
    if (row == kind.factor - 1u) {
        bin_turn_row(raw, codes, sums, LAST, kind);
        return LG_OK;
    }
    if (kind.factor == 2u || row == 0u) {
        bin_turn_row(raw, codes, sums, FIRST, kind);
    } else {
        bin_turn_row(raw, codes, sums, BETWEEN, kind);
    }
    return LG_NO_LINE;
}

#define LG_BIN_LOOP(name, factor, code_bytes, wide)                                           \
    lg_status name(const lg_raw_format *raw, const void *codes, uint32_t row, uint16_t *sums) \
    {                                                                                         \
        return bin_row(raw, codes, row, sums, (bin_kind){(factor), (code_bytes), (wide)});    \
    }
LG_BIN_LOOP(lg_bin_2_8, 2u, 1u, false)
LG_BIN_LOOP(lg_bin_2_16, 2u, 2u, false)
LG_BIN_LOOP(lg_bin_2_16_wide, 2u, 2u, true)
LG_BIN_LOOP(lg_bin_4_8, 4u, 1u, false)
LG_BIN_LOOP(lg_bin_4_16, 4u, 2u, false)
LG_BIN_LOOP(lg_bin_4_16_wide, 4u, 2u, true)

lg_status lg_bin_push(const lg_raw_format *raw, lg_bin_loop *loop, const void *codes, uint32_t count, uint32_t row,
                      uint16_t *sums)
{
    if (raw == NULL || loop == NULL || codes == NULL || sums == NULL) {
        return LG_ERROR_NULL;
    }
    if (count != raw->width) {
        return count < raw->width ? LG_ERROR_LINE_NARROW : LG_ERROR_LINE_WIDE;
    }
    return lg_aligned(codes, raw->code_bytes) ? loop(raw, codes, row, sums) : LG_ERROR_ALIGNMENT;
}
