/* The arithmetics decide hi * 2^S > K * lo, hi and lo being products of two codes, exactly:
 *   narrow  both sides in 32 bits                                                              1-byte codes
 *   split   floor(K * lo / 2^S) = K * (lo >> S) + (K * (lo mod 2^S) >> S) in 32 bits, hi > that  2-byte codes
 *   wide    both sides in 64 bits                                                              any
 * Initialisation takes the 32-bit one of the code size unless the configuration could overflow it. Those two walk
 * the line in pairs of pixels; what a pair cannot hold, the line's last pixel among it, is done wide.
 *
 * The usual configuration (one threshold, S = 12, c = 1, levels of a byte, 2 bits or base 3) has loops of its own, for
 * 1-byte codes of full range and for 2-byte codes. They walk in groups of four or five pixels and add
 * level * radix^i straight into the packed digits. */
#include "lg_quantizer.h"

#include "lg_line.h"

#if defined(__GNUC__)
#define LG_INLINE static inline __attribute__((always_inline))
#define LG_NOINLINE __attribute__((noinline))
#else
#define LG_INLINE static inline
#define LG_NOINLINE
#endif

/* A core with a 32 x 32 -> 64 bit multiplication; Armv6-M and Armv8-M baseline lack one. */
#if defined(__arm__) && defined(__thumb__) && !defined(__thumb2__)
enum { LG_LONG_MULTIPLY = 0 };
#elif defined(__ARM_ARCH_8M_BASE__)
enum { LG_LONG_MULTIPLY = 0 };
#else
enum { LG_LONG_MULTIPLY = 1 };
#endif

enum { NARROW = 0, SPLIT = 1, WIDE = 2, USUAL_8 = 3, USUAL_16 = 4 };
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

static uint8_t general_arithmetic(const lg_quantizer_config *config)
{
    const uint64_t product = largest_product(config);
    const uint64_t ratio = config->ratios[config->ratio_count - 1u];
    const uint64_t remainder = ((uint64_t)1 << config->shift) - 1u;
    if (config->raw.code_bytes == 1u) {
        return product * ratio <= UINT32_MAX ? NARROW : WIDE;
    }
    const bool split = product <= UINT32_MAX && (product * ratio) >> config->shift <= UINT32_MAX;
    return split && ratio * remainder <= UINT32_MAX ? SPLIT : WIDE;
}

static uint8_t choose_arithmetic(const lg_quantizer_config *config)
{
    const uint8_t general = general_arithmetic(config);
    const lg_packing packing = config->packing;
    if (config->ratio_count != 1u || config->shift != USUAL_SHIFT || config->offset != 1u ||
        (packing != LG_PACK_S8 && packing != LG_PACK_2BIT && packing != LG_PACK_BASE3)) {
        return general;
    }
    if (general == NARROW && config->raw.black == 0u && config->raw.white == UINT8_MAX) {
        return USUAL_8;
    }
    const bool fits = LG_LONG_MULTIPLY ? largest_product(config) <= UINT32_MAX : general == SPLIT;
    return config->raw.code_bytes == 2u && fits ? USUAL_16 : general;
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

lg_status lg_quantizer_init(lg_quantizer *state, const lg_quantizer_config *config, void *memory, size_t memory_size)
{
    if (state == NULL) {
        return LG_ERROR_NULL;
    }
    const lg_status checked = lg_quantizer_check(config);
    if (checked != LG_OK) {
        return checked;
    }
    const lg_status stored = lg_line_store_init(&state->store, &config->raw, memory, memory_size);
    if (stored != LG_OK) {
        return stored;
    }
    for (uint32_t i = 0; i < LG_MAX_THRESHOLDS; i++) {
        state->ratios[i] = i < config->ratio_count ? config->ratios[i] : 0u;
    }
    state->ratio_count = config->ratio_count;
    state->shift = config->shift;
    state->arithmetic = choose_arithmetic(config);
    state->offset = config->offset;
    state->packing = (uint8_t)config->packing;
    return LG_OK;
}

void lg_quantizer_restart(lg_quantizer *state)
{
    state->store.lines = 0;
}

/* hi * 2^S > K * lo */
LG_INLINE bool exceeds(uint32_t hi, uint32_t lo, uint32_t k, uint32_t shift, int arithmetic)
{
    if (arithmetic == NARROW) {
        return hi << shift > k * lo;
    }
    const uint32_t whole = lo >> shift;
    return hi > k * whole + ((k * (lo - (whole << shift))) >> shift);
}

/* What is the same for every pixel of a line, kept in registers. */
typedef struct {
    int32_t black, span;
    uint32_t c, shift;
    uint32_t lowest;        /* K_1 */
    const uint32_t *higher; /* K_2 .. K_n */
    uint32_t higher_count;  /* n - 1 */
} line_rule;

/* How many thresholds hi / lo is beyond. */
LG_INLINE int32_t count_beyond(const line_rule *rule, uint32_t hi, uint32_t lo, int arithmetic)
{
    if (!exceeds(hi, lo, rule->lowest, rule->shift, arithmetic)) {
        return 0;
    }
    uint32_t count = 0;
    while (count < rule->higher_count && exceeds(hi, lo, rule->higher[count], rule->shift, arithmetic)) {
        count++;
    }
    return (int32_t)count + 1;
}

/* Level of pixel i (0 or 1) of a pair. *left is c + its left neighbour on entry, c + `right` on return. */
LG_INLINE int8_t level_of(const line_rule *rule, uint8_t *up, const uint8_t *down, uint32_t right, uint32_t *left,
                          uint32_t i, uint32_t code_bytes, int arithmetic)
{
    const int32_t code = (int32_t)lg_load_code(down, i, code_bytes) - rule->black;
    const int32_t positive = code < 0 ? 0 : code;
    const uint32_t d = (uint32_t)(positive > rule->span ? rule->span : positive);
    const uint32_t a = (lg_load_code(up, i, code_bytes) + rule->c) * *left;
    *left = rule->c + right;
    const uint32_t b = (d + rule->c) * *left;
    lg_store_code(up, i, code_bytes, d);
    return (int8_t)(a > b ? count_beyond(rule, a, b, arithmetic) : -count_beyond(rule, b, a, arithmetic));
}

/* Pairs of pixels from `start` on, none of them the line's last; returns the number of pixels done (even).
 * The right neighbour of pixel x is the left one of pixel x + 2, so each code of the middle line is loaded once:
 *
 *   middle line   m0  m1  m2  m3  m4  m5
 *   even pixels       m1 ---> m3 ---> m5    `even`: the code left of the next even pixel (of pixel 0: m1, the mirror)
 *   odd pixels    m0 ---> m2 ---> m4        `odd`: the code left of the next odd pixel
 *
 * Indices: done <= last - start, so the furthest load, mid[2] of the last pair, is pixel start + done <= last; and
 * done > 0 means last >= 2, so that m1 is there. code_bytes and arithmetic are constants of the
 * call: the compiler makes one loop without tests of them for each call below. */
LG_INLINE uint32_t level_pairs(const lg_quantizer *state, const lg_window *window, uint32_t start, uint32_t n,
                               int8_t *levels, uint32_t code_bytes, int arithmetic)
{
    const lg_raw_format *raw = &state->store.raw;
    const line_rule rule = {.black = (int32_t)window->black,
                            .span = raw->white - raw->black,
                            .c = state->offset,
                            .shift = state->shift,
                            .lowest = state->ratios[0],
                            .higher = state->ratios + 1,
                            .higher_count = state->ratio_count - 1u};
    const uint32_t last = raw->width - 1u;
    const uint32_t done = (start + n > last ? last - start : n) & ~1u;
    uint8_t *up = (uint8_t *)window->up + start * code_bytes;
    const uint8_t *mid = (const uint8_t *)window->mid + start * code_bytes;
    const uint8_t *down = (const uint8_t *)window->down + start * code_bytes;
    if (done == 0u) {
        return 0;
    }
    uint32_t even = rule.c + lg_load_code(window->mid, start > 0u ? start - 1u : 1u, code_bytes);
    uint32_t odd = rule.c + lg_load_code(mid, 0u, code_bytes);
    for (const int8_t *end = levels + done; levels < end; levels += 2) {
        const uint32_t m1 = lg_load_code(mid, 1u, code_bytes);
        levels[0] = level_of(&rule, up, down, m1, &even, 0u, code_bytes, arithmetic);
        const uint32_t m2 = lg_load_code(mid, 2u, code_bytes);
        levels[1] = level_of(&rule, up, down, m2, &odd, 1u, code_bytes, arithmetic);
        up += 2u * code_bytes;
        mid += 2u * code_bytes;
        down += 2u * code_bytes;
    }
    return done;
}

static uint32_t level_pairs_8(const lg_quantizer *state, const lg_window *window, uint32_t start, uint32_t n,
                              int8_t *levels)
{
    return level_pairs(state, window, start, n, levels, 1u, NARROW);
}

static uint32_t level_pairs_16(const lg_quantizer *state, const lg_window *window, uint32_t start, uint32_t n,
                               int8_t *levels)
{
    return level_pairs(state, window, start, n, levels, 2u, SPLIT);
}

/* Any pixels start .. start + n - 1. */
static void levels_wide(const lg_quantizer *state, const lg_window *window, uint32_t start, uint32_t n, int8_t *levels)
{
    const lg_raw_format *raw = &state->store.raw;
    const uint32_t code_bytes = raw->code_bytes;
    const uint32_t span = (uint32_t)raw->white - raw->black;
    const uint32_t last = raw->width - 1u;
    const uint32_t c = state->offset;
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
        const uint64_t hi = (a > b ? a : b) << state->shift;
        const uint64_t lo = a > b ? b : a;
        int32_t count = 0;
        while (count < state->ratio_count && hi > state->ratios[count] * lo) {
            count++;
        }
        *levels++ = (int8_t)(a > b ? count : -count);
    }
}

static void levels_block(const lg_quantizer *state, const lg_window *window, uint32_t start, uint32_t n, int8_t *levels)
{
    uint32_t done = 0;
    if (state->arithmetic == NARROW) {
        done = level_pairs_8(state, window, start, n, levels);
    } else if (state->arithmetic == SPLIT) {
        done = level_pairs_16(state, window, start, n, levels);
    }
    levels_wide(state, window, start + done, n - done, levels + done);
}

/* digits + weight if hi * 2^12 > k * lo. 2-byte codes: the products in 64 bits, where there is a long multiplication. */
LG_INLINE uint32_t add_if_exceeds(uint32_t digits, uint32_t weight, uint32_t hi, uint32_t lo, uint32_t k,
                                  uint32_t code_bytes)
{
    if (code_bytes == 1u || !LG_LONG_MULTIPLY) {
        return exceeds(hi, lo, k, USUAL_SHIFT, code_bytes == 1u ? NARROW : SPLIT) ? digits + weight : digits;
    }
#if defined(__GNUC__) && defined(__thumb2__)
    uint32_t low, high;
    __asm__ volatile( /* with the clobber of memory: pixel by pixel, which the registers last for */
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
    return (uint64_t)hi << USUAL_SHIFT > (uint64_t)k * lo ? digits + weight : digits;
#endif
}

/* The digits of a group as they lie in `out`: 5 pixels in base 3, or 4, each a byte or 2 bits. */
LG_INLINE uint8_t *put_group(uint32_t digits, uint32_t pixels, bool bytes, uint8_t *out)
{
    if (pixels == 5u) {
        *out++ = (uint8_t)(digits + 121u);
    } else if (bytes) {
        digits = (digits + 0x80808080u) ^ 0x80808080u;
        for (uint32_t i = 0; i < 4u; i++) {
            out[i] = (uint8_t)(digits >> (8u * i));
        }
        out += 4;
    } else {
        digits += 0x02020202u;
        *out++ = (uint8_t)((digits | digits >> 6 | digits >> 12 | digits >> 18) ^ 0xAAu);
    }
    return out;
}

typedef struct {
    uint8_t *up;
    const uint8_t *mid, *down;
    uint32_t k;
    int32_t black, span;
} usual_rule;

/* digits + level * weight of pixel i of a group, and its linear code to the store. before: 1 + the code left of it on
 * entry, 1 + the code right of it, that is left of pixel i + 2, on return. */
LG_INLINE uint32_t usual_pixel(const usual_rule *r, uint32_t i, uint32_t weight, uint32_t *before, uint32_t digits,
                               uint32_t code_bytes)
{
    const uint32_t left = *before;
    const uint32_t right = lg_load_code(r->mid, i + 1u, code_bytes) + 1u;
    uint32_t d = lg_load_code(r->down, i, code_bytes);
    if (code_bytes == 2u) {
        const int32_t code = (int32_t)d - r->black;
        const int32_t positive = code < 0 ? 0 : code;
        d = (uint32_t)(positive > r->span ? r->span : positive);
    }
    const uint32_t a = lg_load_code(r->up, i, code_bytes) * left + left;
    const uint32_t b = d * right + right;
    lg_store_code(r->up, i, code_bytes, d);
    *before = right;
    digits = add_if_exceeds(digits, weight, a, b, r->k, code_bytes);
    return add_if_exceeds(digits, 0u - weight, b, a, r->k, code_bytes);
}

/* `groups` groups of pixels of the usual configuration. left: the code left of the first pixel. The code right of the
 * last one is read. */
LG_INLINE void usual_groups(const lg_quantizer *state, const lg_window *window, uint32_t left, uint32_t groups,
                            uint8_t *out, uint32_t code_bytes, uint32_t pixels)
{
    const bool bytes = state->packing == LG_PACK_S8;
    usual_rule r = {.up = window->up,
                    .mid = window->mid,
                    .down = window->down,
                    .k = state->ratios[0],
                    .black = (int32_t)window->black,
                    .span = state->store.raw.white - state->store.raw.black};
    uint32_t before = left + 1u;
    uint32_t here = lg_load_code(r.mid, 0, code_bytes) + 1u;
    for (; groups > 0u; groups--) {
        uint32_t digits = usual_pixel(&r, 0u, 1u, &before, 0u, code_bytes);
        digits = usual_pixel(&r, 1u, pixels == 5u ? 3u : 1u << 8, &here, digits, code_bytes);
        digits = usual_pixel(&r, 2u, pixels == 5u ? 9u : 1u << 16, &before, digits, code_bytes);
        digits = usual_pixel(&r, 3u, pixels == 5u ? 27u : 1u << 24, &here, digits, code_bytes);
        if (pixels == 5u) {
            digits = usual_pixel(&r, 4u, 81u, &before, digits, code_bytes);
            const uint32_t next = before;
            before = here;
            here = next;
        }
        r.up += pixels * code_bytes;
        r.mid += pixels * code_bytes;
        r.down += pixels * code_bytes;
        out = put_group(digits, pixels, bytes, out);
    }
}

#define LG_GROUPS(name, code_bytes, pixels)                                                                           \
    static LG_NOINLINE void name(const lg_quantizer *state, const lg_window *window, uint32_t left, uint32_t groups, \
                                 uint8_t *out)                                                                       \
    {                                                                                                                \
        usual_groups(state, window, left, groups, out, code_bytes, pixels);                                          \
    }
LG_GROUPS(fours_8, 1u, 4u)
LG_GROUPS(fives_8, 1u, 5u)
LG_GROUPS(fours_16, 2u, 4u)
LG_GROUPS(fives_16, 2u, 5u)

/* Whole groups, then a last one of 1 to 5 pixels from copies that go on past the line as a mirror does, m[i] = m[i - 2],
 * with equal codes above and below: level 0. */
LG_INLINE void usual_line(const lg_quantizer *state, const lg_window *window, uint8_t *out, uint32_t code_bytes)
{
    const uint32_t width = state->store.raw.width;
    const bool fives = state->packing == LG_PACK_BASE3;
    const uint32_t pixels = fives ? 5u : 4u;
    const uint32_t groups = (width - 1u) / pixels;
    const uint32_t start = groups * pixels;
    const uint32_t n = width - start;
    uint32_t left = lg_load_code(window->mid, width > 1u ? 1u : 0u, code_bytes);
    if (groups > 0u) {
        if (code_bytes == 1u) {
            (fives ? fives_8 : fours_8)(state, window, left, groups, out);
        } else {
            (fives ? fives_16 : fours_16)(state, window, left, groups, out);
        }
        left = lg_load_code(window->mid, start - 1u, code_bytes);
    }
    uint16_t up[5];
    uint16_t mid[7];
    uint16_t down[5];
    uint8_t last[4];
    uint8_t *const up_end = (uint8_t *)window->up + start * code_bytes;
    lg_store_code(mid, 0, code_bytes, left); /* codes of mid lie one further right than those of up and down */
    for (uint32_t i = 0; i < n; i++) {
        lg_store_code(up, i, code_bytes, lg_load_code(up_end, i, code_bytes));
        lg_store_code(mid, i + 1u, code_bytes, lg_load_code(window->mid, start + i, code_bytes));
        lg_store_code(down, i, code_bytes, lg_load_code(window->down, start + i, code_bytes));
    }
    lg_store_code(mid, n + 1u, code_bytes, lg_load_code(mid, n - 1u, code_bytes));
    for (uint32_t i = n; i < pixels; i++) {
        lg_store_code(up, i, code_bytes, 0u);
        lg_store_code(mid, i + 2u, code_bytes, lg_load_code(mid, i, code_bytes));
        lg_store_code(down, i, code_bytes, window->black);
    }
    const lg_window tail = {.up = up, .mid = (const uint8_t *)mid + code_bytes, .down = down, .black = window->black};
    if (code_bytes == 1u) {
        (fives ? fives_8 : fours_8)(state, &tail, left, 1u, last);
    } else {
        (fives ? fives_16 : fours_16)(state, &tail, left, 1u, last);
    }
    for (uint32_t i = 0; i < n; i++) {
        lg_store_code(up_end, i, code_bytes, lg_load_code(up, i, code_bytes));
    }
    if (state->packing != LG_PACK_S8) {
        out[groups] = last[0];
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        out[start + i] = last[i];
    }
}

static void levels_line(const lg_quantizer *state, const lg_window *window, void *out)
{
    const uint32_t width = state->store.raw.width;
    const lg_packing packing = (lg_packing)state->packing;
    if (state->arithmetic == USUAL_8) {
        usual_line(state, window, out, 1u);
        return;
    }
    if (state->arithmetic == USUAL_16) {
        usual_line(state, window, out, 2u);
        return;
    }
    if (packing == LG_PACK_S8) {
        levels_block(state, window, 0, width, out);
        return;
    }
    int8_t block[BLOCK];
    uint8_t *packed = out;
    for (uint32_t x = 0; x < width; x += BLOCK) {
        const uint32_t n = width - x < BLOCK ? width - x : BLOCK;
        levels_block(state, window, x, n, block);
        (void)lg_pack_levels(packing, block, n, packed);
        packed += lg_packed_bytes(packing, n);
    }
}

lg_status lg_quantizer_push(lg_quantizer *state, const void *line, uint32_t width, void *levels)
{
    if (state == NULL || line == NULL || levels == NULL) {
        return LG_ERROR_NULL;
    }
    lg_window window;
    const lg_status status = lg_line_store_push(&state->store, line, width, &window);
    if (status == LG_OK) {
        levels_line(state, &window, levels);
    }
    return status;
}

lg_status lg_quantizer_flush(lg_quantizer *state, void *levels)
{
    if (state == NULL || levels == NULL) {
        return LG_ERROR_NULL;
    }
    lg_window window;
    const lg_status status = lg_line_store_flush(&state->store, &window);
    if (status == LG_OK) {
        levels_line(state, &window, levels);
    }
    return status;
}
