/* SPDX-License-Identifier: Apache-2.0 */
/* Both comparisons of a pixel decide hi * 2^S > K * lo, hi and lo being products of two codes, exactly. S = 12 and
 * c = 1 have loops of their own:
 *   1-byte codes  both sides in 32 bits
 *   2-byte codes  both sides in 64 bits where there is a long multiplication, else
 *                 floor(K lo / 2^12) = K (lo >> 12) + (K (lo mod 2^12) >> 12) in 32 bits, hi > that
 * They walk in groups of pixels, since the code right of pixel x is the one left of pixel x + 2 and is loaded once:
 *
 *   middle line   m0  m1  m2  m3  m4  m5
 *   even pixels       m1 ---> m3 ---> m5
 *   odd pixels    m0 ---> m2 ---> m4
 *
 * Every loop is a function of its own, so that an image holds those it needs. */
#include "lg_quantizer.h"

#include <stdbool.h>

#include "lg_inline.h"

enum { USUAL_SHIFT = 12 };
enum { BLOCK = 60 }; /* pixels packed at a time: whole bytes in every packing */

/* floor(log2) plus one: the bits of x. */
static uint32_t bit_length(uint64_t x)
{
    uint32_t bits = 0;
    while (x != 0u) {
        x >>= 1;
        bits++;
    }
    return bits;
}

static uint64_t largest_product(const lg_quantizer_config *config)
{
    const uint64_t largest = (uint64_t)config->raw.white - config->raw.black + config->offset;
    return largest * largest;
}

/* a * b fits 64 bits */
static bool fits_64(uint64_t a, uint64_t b)
{
    return bit_length(a) + bit_length(b) <= 64u || (b != 0u && a <= UINT64_MAX / b);
}

lg_status lg_quantizer_check(const lg_quantizer_config *config)
{
    if (config == NULL) {
        return LG_ERROR_NULL;
    }
    const lg_status raw = lg_raw_check(&config->raw);
    if (raw != LG_OK) {
        return raw;
    }
    if (config->ratio_count < 1u || config->ratio_count > LG_MAX_THRESHOLDS || config->shift > 24u) {
        return LG_ERROR_RATIOS;
    }
    uint32_t least = (uint32_t)1 << config->shift;
    for (uint32_t i = 0; i < config->ratio_count; i++) {
        if (config->ratios[i] < least || config->ratios[i] == UINT32_MAX) {
            return LG_ERROR_RATIOS;
        }
        least = config->ratios[i] + 1u;
    }
    if (config->offset == 0u) {
        return LG_ERROR_OFFSET;
    }
    if (!fits_64(largest_product(config), config->ratios[config->ratio_count - 1u])) {
        return LG_ERROR_RANGE;
    }
    if (lg_packing_limit(config->packing) < (int32_t)config->ratio_count) {
        return LG_ERROR_PACKING;
    }
    return LG_OK;
}

uint32_t lg_quantizer_line_bytes(const lg_quantizer_config *config)
{
    return lg_packed_bytes(config->packing, config->raw.width);
}

/* Loops by number of thresholds. */
static lg_line_walk *const full_8[] = {lg_levels_8_3, lg_levels_8_5, lg_levels_8_7};
static lg_line_walk *const cut_8[] = {lg_levels_8_3_cut, lg_levels_8_5_cut, lg_levels_8_7_cut};
static lg_line_walk *const cut_16[] = {lg_levels_16_3, lg_levels_16_5, lg_levels_16_7};

static bool fits_32(const lg_quantizer_config *config)
{
    const uint64_t product = largest_product(config);
    const uint64_t ratio = config->ratios[config->ratio_count - 1u];
    if (config->raw.code_bytes == 1u) {
        return product * ratio <= UINT32_MAX;
    }
    const bool split =
        (product * ratio) >> USUAL_SHIFT <= UINT32_MAX && ratio * ((1u << USUAL_SHIFT) - 1u) <= UINT32_MAX;
    return product <= UINT32_MAX && (LG_LONG_MULTIPLY != 0 || split);
}

lg_line_walk *lg_quantizer_walk(const lg_quantizer_config *config)
{
    const lg_raw_format *const raw = &config->raw;
    if (config->shift != USUAL_SHIFT || config->offset != 1u || !fits_32(config)) {
        return lg_levels_any;
    }
    const uint32_t more = config->ratio_count - 1u;
    const bool bytes = raw->code_bytes == 1u;
    const bool full = raw->black == 0u && raw->white == UINT8_MAX;
    if (config->packing == LG_PACK_S8) {
        return (!bytes ? cut_16 : full ? full_8 : cut_8)[more];
    }
    if (more == 0u && (!bytes || full) && config->packing == LG_PACK_2BIT) {
        return bytes ? lg_levels_8_3_2bit : lg_levels_16_3_2bit;
    }
    if (more == 0u && (!bytes || full) && config->packing == LG_PACK_BASE3) {
        return bytes ? lg_levels_8_3_base3 : lg_levels_16_3_base3;
    }
    return lg_levels_any;
}

void lg_quantizer_start(lg_quantizer *state, const lg_quantizer_config *config, lg_line_walk *walk, void *memory)
{
    lg_line_store_start(&state->store, &config->raw, config, walk, memory);
}

lg_status lg_quantizer_init(lg_quantizer *state, const lg_quantizer_config *config, void *memory, size_t memory_size)
{
    if (state == NULL) {
        return LG_ERROR_NULL;
    }
    lg_status status = lg_quantizer_check(config);
    if (status == LG_OK) {
        status = lg_line_memory_check(&config->raw, memory, memory_size);
    }
    if (status == LG_OK) {
        lg_quantizer_start(state, config, lg_quantizer_walk(config), memory);
    }
    return status;
}

void lg_quantizer_restart(lg_quantizer *state)
{
    state->store.lines = 0;
}

lg_status lg_quantizer_push(lg_quantizer *state, const void *line, uint32_t width, void *levels)
{
    return state == NULL ? LG_ERROR_NULL : lg_line_store_push(&state->store, line, width, levels);
}

lg_status lg_quantizer_flush(lg_quantizer *state, void *levels)
{
    return state == NULL ? LG_ERROR_NULL : lg_line_store_flush(&state->store, levels);
}

/* Pixels start .. start + n - 1, both sides in 64 bits. */
static void levels_wide(const lg_line_store *store, const lg_window *window, uint32_t start, uint32_t n, int8_t *levels)
{
    const lg_quantizer_config *const config = store->rule;
    const lg_raw_format *const raw = &config->raw;
    const uint32_t code_bytes = raw->code_bytes;
    const uint32_t span = (uint32_t)raw->white - raw->black;
    const uint32_t last = store->raw->width - 1u;
    const uint32_t c = config->offset;
    for (uint32_t x = start; x < start + n; x++) {
        /* At an edge left and right are one pixel (or none): equal values cancel in the comparison, any value does. */
        const bool edge = x == 0u || x == last;
        const uint32_t left = edge ? 1u : c + lg_load_code(window->mid, x - 1u, code_bytes);
        const uint32_t right = edge ? 1u : c + lg_load_code(window->mid, x + 1u, code_bytes);
        const uint32_t u = lg_load_code(window->up, x, code_bytes);
        const uint32_t d = lg_linear(lg_load_code(window->down, x, code_bytes), window->black, span);
        lg_store_code(window->up, x, code_bytes, d);
        const uint64_t a = (uint64_t)(u + c) * left;
        const uint64_t b = (uint64_t)(d + c) * right;
        const uint64_t hi = (a > b ? a : b) << config->shift;
        const uint64_t lo = a > b ? b : a;
        int32_t count = 0;
        while (count < config->ratio_count && hi > config->ratios[count] * lo) {
            count++;
        }
        *levels++ = (int8_t)(a > b ? count : -count);
    }
}

void lg_levels_any(const lg_line_store *store, const lg_window *window, void *out)
{
    const lg_quantizer_config *const config = store->rule;
    const uint32_t width = store->raw->width;
    if (config->packing == LG_PACK_S8) {
        levels_wide(store, window, 0, width, out);
        return;
    }
    int8_t block[BLOCK];
    uint8_t *packed = out;
    for (uint32_t x = 0; x < width; x += BLOCK) {
        const uint32_t n = width - x < BLOCK ? width - x : BLOCK;
        levels_wide(store, window, x, n, block);
        (void)lg_pack_levels(config->packing, block, n, packed);
        packed += lg_packed_bytes(config->packing, n);
    }
}

/* digits + weight if hi * 2^12 > k * lo. */
LG_INLINE uint32_t add_if_exceeds(uint32_t digits, uint32_t weight, uint32_t hi, uint32_t lo, uint32_t k,
                                  uint32_t code_bytes)
{
    if (code_bytes == 1u) {
        return hi << USUAL_SHIFT > k * lo ? digits + weight : digits;
    }
#if defined(__GNUC__) && defined(__thumb2__)
    uint32_t low, high;
    __asm__ volatile(/* with the clobber of memory: pixel by pixel, which the registers last for */
                     "umull %[low], %[high], %[k], %[lo]\n\t"
                     "cmp %[low], %[hi], lsl #12\n\t"
                     "sbcs %[high], %[high], %[hi], lsr #20\n\t"
                     "it lo\n\t"
                     "addlo %[digits], %[digits], %[weight]"
                     : [digits] "+r"(digits), [low] "=&r"(low), [high] "=&r"(high)
                     : [k] "r"(k), [lo] "r"(lo), [hi] "r"(hi), [weight] "rIL"(weight)
                     : "cc", "memory");
    return digits;
#else
    if (LG_LONG_MULTIPLY != 0) {
        return (uint64_t)hi << USUAL_SHIFT > (uint64_t)k * lo ? digits + weight : digits;
    }
    const uint32_t whole = lo >> USUAL_SHIFT;
    const uint32_t part = lo - (whole << USUAL_SHIFT);
    return hi > k * whole + ((k * part) >> USUAL_SHIFT) ? digits + weight : digits;
#endif
}

/* Where a loop is, and what is the same for all its pixels. mid is one pixel ahead. */
typedef struct {
    uint8_t *up;
    const uint8_t *mid, *down;
    int32_t black, span;
    uint32_t k[LG_MAX_THRESHOLDS];
} walk_state;

/* What a loop is made for, constants of the call: bytes of a code, thresholds, whether codes are clipped. */
typedef struct {
    uint32_t code_bytes, count;
    bool clip;
} walk_kind;

/* The code at *line, which moves on. In one instruction, which compilers do not find by themselves. */
LG_INLINE uint32_t next_code(const uint8_t **line, uint32_t code_bytes)
{
    uint32_t code;
#if defined(__GNUC__) && defined(__thumb2__)
    if (code_bytes == 1u) {
        __asm__ volatile("ldrb %[code], [%[line]], #1" : [code] "=r"(code), [line] "+r"(*line)::"memory");
    } else {
        __asm__ volatile("ldrh %[code], [%[line]], #2" : [code] "=r"(code), [line] "+r"(*line)::"memory");
    }
#else
    code = lg_load_code(*line, 0u, code_bytes);
    *line += code_bytes;
#endif
    return code;
}

LG_INLINE void put_code(uint8_t **line, uint32_t code_bytes, uint32_t code)
{
#if defined(__GNUC__) && defined(__thumb2__)
    if (code_bytes == 1u) {
        __asm__ volatile("strb %[code], [%[line]], #1" : [line] "+r"(*line) : [code] "r"(code) : "memory");
    } else {
        __asm__ volatile("strh %[code], [%[line]], #2" : [line] "+r"(*line) : [code] "r"(code) : "memory");
    }
#else
    lg_store_code(*line, 0u, code_bytes, code);
    *line += code_bytes;
#endif
}

LG_INLINE walk_state walk_start(const lg_line_store *store, const lg_window *window)
{
    const lg_quantizer_config *const config = store->rule;
    walk_state at = {.up = window->up,
                     .mid = window->mid,
                     .down = window->down,
                     .black = (int32_t)window->black,
                     .span = config->raw.white - config->raw.black};
    at.k[0] = config->ratios[0];
    at.k[1] = config->ratios[1];
    at.k[2] = config->ratios[2];
    return at;
}

/* digits + level * weight of the next pixel, and its linear code to the store. left, right: 1 + the codes beside it. */
LG_INLINE uint32_t add_level(walk_state *at, uint32_t left, uint32_t right, uint32_t weight, uint32_t digits,
                             walk_kind kind)
{
    uint32_t d = next_code(&at->down, kind.code_bytes);
    if (kind.clip) {
        const int32_t code = (int32_t)d - at->black;
        const int32_t positive = code < 0 ? 0 : code;
        d = (uint32_t)(positive > at->span ? at->span : positive);
    }
    const uint32_t a = lg_load_code(at->up, 0u, kind.code_bytes) * left + left;
    put_code(&at->up, kind.code_bytes, d);
    const uint32_t b = d * right + right;
    if (kind.count == 1u) {
        digits = add_if_exceeds(digits, weight, a, b, at->k[0], kind.code_bytes);
        return add_if_exceeds(digits, 0u - weight, b, a, at->k[0], kind.code_bytes);
    }
    const uint32_t hi = a > b ? a : b;
    const uint32_t lo = a > b ? b : a;
    uint32_t beyond = add_if_exceeds(0u, weight, hi, lo, at->k[0], kind.code_bytes);
    beyond = add_if_exceeds(beyond, weight, hi, lo, at->k[1], kind.code_bytes);
    if (kind.count == 3u) {
        beyond = add_if_exceeds(beyond, weight, hi, lo, at->k[2], kind.code_bytes);
    }
    return a > b ? digits + beyond : digits - beyond;
}

/* What lies left of the next pixel and of the one after it, plus 1. */
typedef struct {
    uint32_t next, after;
} walk_left;

LG_INLINE walk_left left_of_line(walk_state *at, uint32_t width, walk_kind kind)
{
    walk_left left;
    left.after = next_code(&at->mid, kind.code_bytes) + 1u;
    left.next = width > 1u ? lg_load_code(at->mid, 0u, kind.code_bytes) + 1u : left.after;
    return left;
}

/* Two pixels that both have a right neighbour. */
LG_INLINE uint32_t add_first(walk_state *at, walk_left *left, uint32_t weight, uint32_t digits, walk_kind kind)
{
    const uint32_t right = next_code(&at->mid, kind.code_bytes) + 1u;
    digits = add_level(at, left->next, right, weight, digits, kind);
    left->next = right;
    return digits;
}

LG_INLINE uint32_t add_second(walk_state *at, walk_left *left, uint32_t weight, uint32_t digits, walk_kind kind)
{
    const uint32_t right = next_code(&at->mid, kind.code_bytes) + 1u;
    digits = add_level(at, left->after, right, weight, digits, kind);
    left->after = right;
    return digits;
}

/* One pixel, perhaps the last. */
LG_INLINE uint32_t add_single(walk_state *at, walk_left *left, bool last, uint32_t weight, uint32_t digits,
                              walk_kind kind)
{
    const uint32_t right = last ? left->next : next_code(&at->mid, kind.code_bytes) + 1u;
    digits = add_level(at, left->next, right, weight, digits, kind);
    left->next = left->after;
    left->after = right;
    return digits;
}

/* A level a byte: pairs of pixels, then the last one or two. */
LG_INLINE void walk_bytes(const lg_line_store *store, const lg_window *window, uint8_t *out, walk_kind kind)
{
    walk_state at = walk_start(store, window);
    uint32_t rest = store->raw->width;
    walk_left left = left_of_line(&at, rest, kind);
    for (; rest > 2u; rest -= 2u) {
        put_code(&out, 1u, add_first(&at, &left, 1u, 0u, kind));
        put_code(&out, 1u, add_second(&at, &left, 1u, 0u, kind));
    }
    for (; rest > 0u; rest--) {
        put_code(&out, 1u, add_single(&at, &left, rest == 1u, 1u, 0u, kind));
    }
}

/* The digits of a group as they lie in a byte: 5 pixels in base 3, or 4 of 2 bits, which come in 8 bits each. */
LG_INLINE uint32_t packed_group(uint32_t digits, bool base3)
{
    if (base3) {
        return digits + 121u;
    }
    digits += 0x02020202u;
    return (digits | digits >> 6 | digits >> 12 | digits >> 18) ^ 0xAAu;
}

/* Three levels packed: groups of five or four pixels, a byte each, then a last one of 1 to 5 pixels. */
LG_INLINE void walk_packed(const lg_line_store *store, const lg_window *window, uint8_t *out, walk_kind kind,
                           bool base3)
{
    walk_state at = walk_start(store, window);
    const uint32_t pixels = base3 ? 5u : 4u;
    const uint32_t radix = base3 ? 3u : 1u << 8;
    uint32_t rest = store->raw->width;
    walk_left left = left_of_line(&at, rest, kind);
    for (; rest > pixels; rest -= pixels) {
        uint32_t digits = add_first(&at, &left, 1u, 0u, kind);
        digits = add_second(&at, &left, radix, digits, kind);
        digits = add_first(&at, &left, radix * radix, digits, kind);
        digits = add_second(&at, &left, radix * radix * radix, digits, kind);
        if (base3) {
            digits = add_single(&at, &left, false, 81u, digits, kind);
        }
        put_code(&out, 1u, packed_group(digits, base3));
    }
    uint32_t digits = 0u;
    for (uint32_t weight = 1u; rest > 0u; rest--) {
        digits = add_single(&at, &left, rest == 1u, weight, digits, kind);
        weight *= radix;
    }
    put_code(&out, 1u, packed_group(digits, base3));
}

#define LG_WALK_BYTES(name, code_bytes, count, clip)                                \
    void name(const lg_line_store *store, const lg_window *window, void *out)       \
    {                                                                               \
        walk_bytes(store, window, out, (walk_kind){(code_bytes), (count), (clip)}); \
    }
LG_WALK_BYTES(lg_levels_8_3, 1u, 1u, false)
LG_WALK_BYTES(lg_levels_8_5, 1u, 2u, false)
LG_WALK_BYTES(lg_levels_8_7, 1u, 3u, false)
LG_WALK_BYTES(lg_levels_8_3_cut, 1u, 1u, true)
LG_WALK_BYTES(lg_levels_8_5_cut, 1u, 2u, true)
LG_WALK_BYTES(lg_levels_8_7_cut, 1u, 3u, true)
LG_WALK_BYTES(lg_levels_16_3, 2u, 1u, true)
LG_WALK_BYTES(lg_levels_16_5, 2u, 2u, true)
LG_WALK_BYTES(lg_levels_16_7, 2u, 3u, true)

#define LG_WALK_PACKED(name, code_bytes, clip, base3)                                    \
    void name(const lg_line_store *store, const lg_window *window, void *out)            \
    {                                                                                    \
        walk_packed(store, window, out, (walk_kind){(code_bytes), 1u, (clip)}, (base3)); \
    }
LG_WALK_PACKED(lg_levels_8_3_2bit, 1u, false, false)
LG_WALK_PACKED(lg_levels_8_3_base3, 1u, false, true)
LG_WALK_PACKED(lg_levels_16_3_2bit, 2u, true, false)
LG_WALK_PACKED(lg_levels_16_3_base3, 2u, true, true)
