/* SPDX-License-Identifier: Apache-2.0 */
/* program/main.c and a host that says anything. An input is a byte and lines: if the byte is odd, every line is given
 * its checksum, without which hardly one would be believed. Laws: every answer is a line with its letter and its
 * checksum; and whatever was said before, the frames of expected.h come out as TFLite has them. */
#define main board_main
#include "main.c"
#undef main

#include "lg_network.h"

enum { LONGEST = 1 << 20 };

static const char *said; /* what is left of what the host says */
static size_t left;
static char line[LONGEST]; /* of the board, as far as it has come */
static size_t length;
static char answer_text[256]; /* its last line, without checksum */

void lg_board_init(void)
{
}

uint32_t lg_board_ticks(void)
{
    return 0u;
}

void lg_board_exit(int code)
{
    exit(code);
}

int lg_board_camera_line(void *codes, uint32_t count, uint32_t row)
{
    memset(codes, (int)row, count * sizeof(net_code));
    return row % 7u == 6u ? LG_CAMERA_LATE : 0;
}

size_t lg_board_read(void *data, size_t size)
{
    if (size != 1u || left == 0u) {
        return 0u;
    }
    *(char *)data = *said++;
    left--;
    return 1u;
}

static void check_line(void)
{
    char checksum[CRC_DIGITS + 1];
    REQUIRE(length > CRC_DIGITS + 1u && memchr("IFRSCMXLE", line[0], 9u) != NULL);
    const size_t text = length - CRC_DIGITS - 1u;
    REQUIRE(line[text] == '*');
    (void)snprintf(checksum, sizeof checksum, "%08x", (unsigned)lg_crc32(0u, line, text));
    REQUIRE(memcmp(checksum, line + text + 1u, CRC_DIGITS) == 0);
    const size_t kept = text < sizeof answer_text - 1u ? text : sizeof answer_text - 1u;
    memcpy(answer_text, line, kept);
    answer_text[kept] = '\0';
    length = 0u;
}

size_t lg_board_write(const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (((const char *)data)[i] == '\n') {
            check_line();
        } else {
            REQUIRE(length < LONGEST);
            line[length++] = ((const char *)data)[i];
        }
    }
    return size;
}

static void converse(const char *text, size_t size)
{
    said = text;
    left = size;
    do {
        REQUIRE(board_main() == 0 && length == 0u && app.digits <= MOST_DIGITS);
    } while (left > 0u);
}

/* Lines that end with a newline -> the same with their checksums; how long they are. */
static size_t with_checksums(const char *text, size_t size, char *made)
{
    size_t used = 0u;
    for (size_t at = 0u; at < size;) {
        const char *stop = memchr(text + at, '\n', size - at);
        const size_t part = stop == NULL ? size - at : (size_t)(stop - text) - at;
        memcpy(made + used, text + at, part);
        used += part;
        used += (size_t)sprintf(made + used, "*%08x\n", (unsigned)lg_crc32(0u, text + at, part));
        at += part + 1u;
    }
    return used;
}

static char *put_hex(char *place, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        place += sprintf(place, "%02x", ((const uint8_t *)data)[i]);
    }
    return place;
}

/* A code's digits are its bits from the highest, whatever the order of its bytes in memory. */
static char *put_codes(char *place, const net_code *codes)
{
    for (size_t i = 0; i < NET_ROW_CODES; i++) {
        place += sprintf(place, "%0*x", CODE_DIGITS, (unsigned)codes[i] & (CODE_DIGITS == 2 ? 0xFFu : 0xFFFFu));
    }
    return place;
}

static int class_of(const int8_t *scores)
{
    int best = NET_OUTPUTS == 1u && scores[0] > NET_OUTPUT_ZERO_POINT;
    for (int i = 1; i < (int)NET_OUTPUTS; i++) {
        best = scores[i] > scores[best] ? i : best;
    }
    return best;
}

static void check_frame(const net_code (*frame)[NET_ROW_CODES], const int8_t *scores)
{
    static char text[(NET_ROWS + 2u) * (NET_ROW_CODES * CODE_DIGITS + 16u)];
    static char sent[sizeof text + (NET_ROWS + 2u) * 16u];
    char result[sizeof answer_text];
    char *place = text + sprintf(text, "F 0\n");
    for (uint32_t y = 0; y < NET_ROWS; y++) {
        place = put_codes(place + sprintf(place, "R %04x ", (unsigned)y), frame[y]);
        *place++ = '\n';
    }
    place += sprintf(place, "S\n");
    converse(sent, with_checksums(text, (size_t)(place - text), sent));
    place = result + sprintf(result, "S 0 %d 00000000 ", class_of(scores));
    (void)strcpy(put_hex(place, scores, NET_OUTPUTS), " 00000000");
    REQUIRE(strcmp(result, answer_text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0u) {
        return 0;
    }
    memset(&app, 0, sizeof app);
    const char *text = (const char *)data + 1;
    char *made = malloc(10u * size + 16u);
    REQUIRE(made != NULL);
    if (data[0] & 1u) {
        converse(made, with_checksums(text, size - 1u, made));
    } else {
        memcpy(made, text, size - 1u);
        made[size - 1u] = '\n';
        converse(made, size);
    }
    free(made);
    check_frame(frames[data[0] % FRAMES], expected[data[0] % FRAMES]);
    return 0;
}
