/* SPDX-License-Identifier: Apache-2.0 */
/* lg_quantizer with any configuration and any codes. An input is a configuration, HEAD bytes, and lines; if its first
 * byte is odd the numbers are bent to be good ones. Laws: init takes what check takes; every level is the one of the
 * definition in lg_quantizer.h, worked out in 128 bits; memory, lines and levels are of their exact size. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lg_law.h"
#include "lg_quantizer.h"

enum { HEAD = 25, MOST_WIDTH = 48, MOST_HEIGHT = 9 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t word(const uint8_t *data)
{
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

static lg_quantizer_config read_config(const uint8_t *data)
{
    lg_quantizer_config config = {
        .raw = {.width = (uint16_t)(data[1] % (MOST_WIDTH + 1)),
                .height = (uint16_t)(data[2] % (MOST_HEIGHT + 1)),
                .bits = data[3],
                .code_bytes = data[4],
                .black = (uint16_t)(data[5] | data[6] << 8),
                .white = (uint16_t)(data[7] | data[8] << 8)},
        .ratios = {word(data + 9), word(data + 13), word(data + 17)},
        .ratio_count = data[21],
        .shift = data[22],
        .offset = (uint16_t)(data[23] * data[23]),
        .packing = (lg_packing)(data[24] % 6u),
    };
    return config;
}

/* Numbers that are good, of those that are any; half of them what the fast loops are for. */
static void bend(lg_quantizer_config *config, uint8_t form)
{
    lg_raw_format *raw = &config->raw;
    raw->bits = (uint8_t)(8u + raw->bits % 9u);
    raw->code_bytes = raw->bits == 8u ? (uint8_t)(1u + raw->code_bytes % 2u) : 2u;
    const uint32_t largest = (1u << raw->bits) - 1u;
    raw->black = (uint16_t)(form & 4u ? 0u : raw->black % largest);
    raw->white = (uint16_t)(form & 8u ? largest : raw->black + 1u + raw->white % (largest - raw->black));
    config->shift = form & 2u ? 12u : (uint8_t)(config->shift % 25u);
    config->offset = form & 2u ? 1u : (uint16_t)(config->offset + 1u);
    config->ratio_count = (uint8_t)(1u + config->ratio_count % LG_MAX_THRESHOLDS);
    uint32_t least = 1u << config->shift;
    for (uint32_t i = 0; i < LG_MAX_THRESHOLDS; i++) {
        const uint32_t more = form & 2u ? config->ratios[i] % 20000u : config->ratios[i] % 0x40000000u;
        config->ratios[i] = least + more;
        least = config->ratios[i] + 1u;
    }
}

static const uint8_t *codes; /* of the frame, a byte a code or two */
static const lg_quantizer_config *rule;

static uint32_t linear(uint32_t y, uint32_t x)
{
    const lg_raw_format *raw = &rule->raw;
    const uint32_t code = lg_load_code(codes, y * raw->width + x, raw->code_bytes);
    return lg_linear(code, raw->black, (uint32_t)raw->white - raw->black);
}

/* The place before or behind one of `count`, that of the opposite side where there is none. */
static uint32_t beside(uint32_t at, uint32_t count, int behind)
{
    if (count == 1u) {
        return at;
    }
    return behind ? (at + 1u < count ? at + 1u : at - 1u) : (at > 0u ? at - 1u : at + 1u);
}

static int level(uint32_t y, uint32_t x)
{
    const uint32_t height = rule->raw.height, width = rule->raw.width, c = rule->offset;
    const unsigned __int128 up = linear(beside(y, height, 0), x) + c, down = linear(beside(y, height, 1), x) + c;
    const unsigned __int128 left = linear(y, beside(x, width, 0)) + c, right = linear(y, beside(x, width, 1)) + c;
    int q = 0;
    for (uint32_t i = 0; i < rule->ratio_count; i++) {
        q += (up * left) << rule->shift > rule->ratios[i] * (down * right);
        q -= (down * right) << rule->shift > rule->ratios[i] * (up * left);
    }
    return q;
}

static void check_line(const void *levels, uint32_t y)
{
    int8_t *found = malloc(rule->raw.width);
    REQUIRE(found != NULL);
    REQUIRE(lg_unpack_levels(rule->packing, levels, rule->raw.width, found) == LG_OK);
    for (uint32_t x = 0; x < rule->raw.width; x++) {
        REQUIRE(found[x] == level(y, x));
    }
    free(found);
}

static void check_frame(lg_quantizer *state, const uint8_t *data, size_t size)
{
    const lg_raw_format *raw = &rule->raw;
    const size_t line_bytes = (size_t)raw->width * raw->code_bytes, bytes = line_bytes * raw->height;
    uint8_t *frame = calloc(1u, bytes);
    REQUIRE(frame != NULL);
    memcpy(frame, data, size < bytes ? size : bytes);
    codes = frame;
    for (uint32_t y = 0; y <= raw->height; y++) {
        void *line = malloc(line_bytes), *levels = malloc(lg_quantizer_line_bytes(rule));
        REQUIRE(line != NULL && levels != NULL);
        if (y < raw->height) {
            memcpy(line, frame + y * line_bytes, line_bytes);
            REQUIRE(lg_quantizer_push(state, line, raw->width, levels) == (y == 0u ? LG_NO_LINE : LG_OK));
        } else {
            REQUIRE(lg_quantizer_flush(state, levels) == LG_OK);
        }
        if (y > 0u) {
            check_line(levels, y - 1u);
        }
        free(line);
        free(levels);
    }
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD) {
        return 0;
    }
    lg_quantizer_config config = read_config(data);
    if (data[0] & 1u) {
        bend(&config, data[0] >> 1);
    }
    rule = &config;
    const lg_status status = lg_quantizer_check(&config);
    const size_t bytes = status == LG_OK ? LG_LINE_STORE_BYTES(config.raw.width, config.raw.code_bytes) : 64u;
    void *memory = malloc(bytes);
    lg_quantizer state;
    REQUIRE(memory != NULL);
    REQUIRE(lg_quantizer_init(&state, &config, memory, bytes) == status);
    if (status == LG_OK) {
        check_frame(&state, data + HEAD, size - HEAD);
        check_frame(&state, data + HEAD + (size - HEAD) / 2u, (size - HEAD) / 2u);
    }
    free(memory);
    return 0;
}
