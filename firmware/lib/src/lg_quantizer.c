/* The three arithmetics decide hi * 2^S > K * lo, hi and lo being products of two codes, exactly:
 *   narrow  both sides in 32 bits
 *   split   floor(K * lo / 2^S) = K * (lo >> S) + (K * (lo mod 2^S) >> S) in 32 bits, then hi > that
 *   wide    both sides in 64 bits
 * Initialisation takes the first one that the configuration cannot overflow. */
#include "lg_quantizer.h"

#include "lg_line.h"

#if defined(__GNUC__)
#define LG_INLINE static inline __attribute__((always_inline))
#else
#define LG_INLINE static inline
#endif

enum { NARROW = 0, SPLIT = 1, WIDE = 2 };
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

static uint8_t choose_arithmetic(const lg_quantizer_config *config)
{
    const uint64_t product = largest_product(config);
    const uint64_t ratio = config->ratios[config->ratio_count - 1u];
    const uint64_t remainder = ((uint64_t)1 << config->shift) - 1u;
    if (product * ratio <= UINT32_MAX) {
        return NARROW;
    }
    if (product <= UINT32_MAX && (product * ratio) >> config->shift <= UINT32_MAX && ratio * remainder <= UINT32_MAX) {
        return SPLIT;
    }
    return WIDE;
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
    state->packing = config->packing;
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
    return hi > k * (lo >> shift) + ((k * (lo & (((uint32_t)1 << shift) - 1u))) >> shift);
}

/* Level of one pixel; every neighbour has the offset added. */
LG_INLINE int8_t level(const lg_quantizer *state, uint32_t first, uint32_t shift, uint32_t u, uint32_t l, uint32_t d,
                       uint32_t r, int arithmetic)
{
    int32_t count = 0;
    bool negative;
    if (arithmetic == WIDE) {
        const uint64_t a = (uint64_t)u * l;
        const uint64_t b = (uint64_t)d * r;
        const uint64_t hi = (a > b ? a : b) << shift;
        const uint64_t lo = a > b ? b : a;
        negative = a < b;
        while (count < state->ratio_count && hi > state->ratios[count] * lo) {
            count++;
        }
    } else {
        const uint32_t a = u * l;
        const uint32_t b = d * r;
        const uint32_t hi = a > b ? a : b;
        const uint32_t lo = a > b ? b : a;
        negative = a < b;
        if (exceeds(hi, lo, first, shift, arithmetic)) {
            count = 1;
            while (count < state->ratio_count && exceeds(hi, lo, state->ratios[count], shift, arithmetic)) {
                count++;
            }
        }
    }
    return (int8_t)(negative ? -count : count);
}

/* Levels of pixels start .. start + n - 1, n >= 1. */
LG_INLINE void levels_of(const lg_quantizer *state, const lg_window *window, uint32_t start, uint32_t n, int8_t *levels,
                         uint32_t code_bytes, int arithmetic)
{
    const lg_raw_format *raw = &state->store.raw;
    const uint32_t span = (uint32_t)raw->white - raw->black;
    const uint32_t black = window->black;
    const uint32_t c = state->offset;
    const uint32_t first = state->ratios[0];
    const uint32_t shift = state->shift;
    const uint32_t last = raw->width - 1u;
    const uint32_t end = start + n;
    const uint32_t inner = end > last ? last : end;
    void *up = window->up;
    const void *mid = window->mid;
    const void *down = window->down;
    uint32_t left = c + lg_load_code(mid, start > 0u ? start - 1u : (last > 0u ? 1u : 0u), code_bytes);
    uint32_t here = c + lg_load_code(mid, start, code_bytes);
    uint32_t x = start;
    for (; x < inner; x++) {
        const uint32_t right = c + lg_load_code(mid, x + 1u, code_bytes);
        const uint32_t u = lg_load_code(up, x, code_bytes);
        const uint32_t d = lg_linear(lg_load_code(down, x, code_bytes), black, span);
        lg_store_code(up, x, code_bytes, d);
        *levels++ = level(state, first, shift, u + c, left, d + c, right, arithmetic);
        left = here;
        here = right;
    }
    if (x < end) { /* the last pixel of the line: its right neighbour is its left one */
        const uint32_t u = lg_load_code(up, x, code_bytes);
        const uint32_t d = lg_linear(lg_load_code(down, x, code_bytes), black, span);
        lg_store_code(up, x, code_bytes, d);
        *levels = level(state, first, shift, u + c, left, d + c, left, arithmetic);
    }
}

static void levels_block(const lg_quantizer *state, const lg_window *window, uint32_t start, uint32_t n, int8_t *levels)
{
    const uint32_t code_bytes = state->store.raw.code_bytes;
    if (state->arithmetic == WIDE) {
        levels_of(state, window, start, n, levels, code_bytes, WIDE);
    } else if (state->arithmetic == SPLIT) {
        levels_of(state, window, start, n, levels, code_bytes, SPLIT);
    } else if (code_bytes == 1u) {
        levels_of(state, window, start, n, levels, 1u, NARROW);
    } else {
        levels_of(state, window, start, n, levels, 2u, NARROW);
    }
}

static void levels_line(const lg_quantizer *state, const lg_window *window, void *out)
{
    const uint32_t width = state->store.raw.width;
    if (state->packing == LG_PACK_S8) {
        levels_block(state, window, 0, width, out);
        return;
    }
    int8_t block[BLOCK];
    uint8_t *packed = out;
    for (uint32_t x = 0; x < width; x += BLOCK) {
        const uint32_t n = width - x < BLOCK ? width - x : BLOCK;
        levels_block(state, window, x, n, block);
        (void)lg_pack_levels(state->packing, block, n, packed);
        packed += lg_packed_bytes(state->packing, n);
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
