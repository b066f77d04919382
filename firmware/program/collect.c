/* SPDX-License-Identifier: Apache-2.0 */
/* The collector: frames of the board's camera to the host, RAW codes as they are. export.firmware --collect copies it into a
 * project, beside src/collect.h, which says how large a frame is. The host's side is firmware/camera.py.
 *
 * Lines, both ways, are those of the programs with a network: <text>*<CRC-32 of the text, 8 hex digits> and a newline.
 * Numbers are hex digits. Every command is answered by a line that begins with its letter, and may be sent again when that
 * is lost: a frame has a number, and one that is held already is not taken again.
 *
 *   I                   I collect 1 <rows> <codes a row> <bytes a code> <stamp>   who is there
 *   P <lines>           P <error> <lines>                                      expose for so many lines; 0: the camera decides
 *   T <frame>           T <error> <frame> <digest>                             take a frame and hold it
 *   G <row><count>      G <error> <row><count>                                 rows of it, as rows.h has them, before the answer
 *   X                   X 00                                                   end of the program
 *                       E                                                      a line that cannot be read
 *
 * All arguments have four digits, those of G twice four. An error is the camera's (lg_board.h) without its sign, or
 * NO_FRAME: no frame is held, or it has no such rows. The digest is the CRC-32 of the frame's codes, in the order and the
 * bytes in which they are sent. */
#include <stddef.h>
#include <stdint.h>

#include "collect.h"
#include "lg_board.h"
#include "lg_crc32.h"
#include "rows.h"

#define WHO_TEXT " collect 1"

enum { WHO = 'I', EXPOSE = 'P', TAKE = 'T', GIVE = 'G', END = 'X', UNREADABLE = 'E' };
enum { NO_FRAME = 0x40, LONGEST = 32, CRC_DIGITS = 8 };
enum { CLOSED = -1 }; /* in place of a byte: the host has closed its side */

static struct {
    uint32_t sent_crc;
    uint32_t argument;
    uint32_t digits; /* of the argument */
    uint32_t digest;
    uint32_t number;
    uint32_t held; /* 1: the frame of that number */
    row_sender row;
    collect_code frame[COLLECT_ROWS][COLLECT_CODES];
} app __attribute__((section(".lg_state")));

static void put(const char *text, size_t size)
{
    app.sent_crc = lg_crc32(app.sent_crc, text, size);
    (void)lg_board_write(text, size);
}

static void put_hex(char mark, uint32_t value, uint32_t digits)
{
    char text[9];
    text[0] = mark;
    for (uint32_t i = 0; i < digits; i++) {
        text[1u + i] = "0123456789abcdef"[value >> (4u * (digits - 1u - i)) & 15u];
    }
    put(text, 1u + digits);
}

static void end_line(void)
{
    put_hex('*', app.sent_crc, CRC_DIGITS);
    put("\n", 1u);
    app.sent_crc = 0u;
}

static int nibble(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A line up to its newline: its bytes, as many as `line` holds; CLOSED, or how many came. */
static int read_line(char *line)
{
    int size = 0;
    for (;;) {
        char c;
        if (lg_board_read(&c, 1u) != 1u) {
            return CLOSED;
        }
        if (c == '\n') {
            return size;
        }
        if (size < LONGEST) {
            line[size] = c;
        }
        size += size <= LONGEST;
    }
}

/* Hex digits from `text` on, 8 at most. Their number, or -1 if one of them is none. */
static int read_hex(const char *text, int digits, uint32_t *value)
{
    *value = 0u;
    for (int i = 0; i < digits; i++) {
        const int digit = nibble(text[i]);
        if (digit < 0) {
            return -1;
        }
        *value = *value << 4 | (uint32_t)digit;
    }
    return digits;
}

/* The letter of the next line, its argument in app; UNREADABLE, or CLOSED. */
static int receive(void)
{
    char line[LONGEST];
    int size;
    do {
        size = read_line(line);
    } while (size == 0);
    if (size == CLOSED) {
        return CLOSED;
    }
    const int text = size - CRC_DIGITS - 1;
    uint32_t crc;
    if (size > LONGEST || text < 1 || line[text] != '*' || read_hex(line + text + 1, CRC_DIGITS, &crc) < 0 ||
        crc != lg_crc32(0u, line, (size_t)text)) {
        return UNREADABLE;
    }
    const int letter = line[0], digits = text > 2 && text <= 10 && line[1] == ' ' ? text - 2 : 0;
    const int wanted = letter == EXPOSE || letter == TAKE ? 4 : letter == GIVE ? 8 : 0;
    if (text != (wanted > 0 ? wanted + 2 : 1) || read_hex(line + 2, digits, &app.argument) != wanted) {
        return UNREADABLE;
    }
    app.digits = (uint32_t)digits;
    return letter == WHO || letter == END || wanted > 0 ? letter : UNREADABLE;
}

static uint32_t digest_of_frame(void)
{
    uint32_t crc = 0u;
    for (uint32_t row = 0; row < COLLECT_ROWS; row++) {
        for (uint32_t i = 0; i < COLLECT_CODES; i++) {
            for (uint32_t left = sizeof(collect_code); left-- > 0u;) {
                const uint8_t byte = (uint8_t)(app.frame[row][i] >> (8u * left));
                crc = lg_crc32(crc, &byte, 1u);
            }
        }
    }
    return crc;
}

static uint32_t take(void)
{
    if (app.held != 0u && app.number == app.argument) {
        return 0u;
    }
    app.held = 0u;
    for (uint32_t row = 0; row < COLLECT_ROWS; row++) {
        const int error = lg_board_camera_line(app.frame[row], COLLECT_CODES, row);
        if (error < 0) {
            return (uint32_t)-error;
        }
    }
    app.digest = digest_of_frame();
    app.number = app.argument;
    app.held = 1u;
    return 0u;
}

static uint32_t give(void)
{
    const uint32_t first = app.argument >> 16, count = app.argument & 0xFFFFu;
    if (app.held == 0u || first + count > COLLECT_ROWS) {
        return NO_FRAME;
    }
    for (uint32_t row = first; row < first + count; row++) {
        row_begin(&app.row, app.number, row);
        for (uint32_t i = 0; i < COLLECT_CODES; i++) {
            row_number(&app.row, app.frame[row][i], sizeof(collect_code));
        }
        row_end(&app.row);
    }
    return 0u;
}

static void put_who(void)
{
    static const char who[] = WHO_TEXT, stamp[] = " " COLLECT_STAMP;
    put(who, sizeof who - 1u);
    put_hex(' ', COLLECT_ROWS, 4u);
    put_hex(' ', COLLECT_CODES, 4u);
    put_hex(' ', sizeof(collect_code), 4u);
    put(stamp, sizeof stamp - 1u);
}

static uint32_t work(int letter)
{
    switch (letter) {
    case EXPOSE:
        app.held = 0u;
        return (uint32_t)-lg_board_camera_expose(app.argument);
    case TAKE:
        return take();
    case GIVE:
        return give();
    default:
        return 0u;
    }
}

static void answer(char letter)
{
    const uint32_t error = work(letter);
    put(&letter, 1u);
    if (letter == WHO) {
        put_who();
    } else if (letter != UNREADABLE) {
        put_hex(' ', error, 2u);
    }
    if (app.digits > 0u && letter != UNREADABLE && letter != WHO) {
        put_hex(' ', app.argument, app.digits);
    }
    if (letter == TAKE && error == 0u) {
        put_hex(' ', app.digest, 8u);
    }
    end_line();
}

int main(void)
{
    lg_board_init();
    for (;;) {
        const int letter = receive();
        if (letter == CLOSED) {
            return 0;
        }
        answer((char)letter);
        if (letter == END) {
            return 0;
        }
    }
}
