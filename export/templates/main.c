/* The program on the board: RAW rows in over the host channel, scores out.
 *
 * Every line, both ways, is <text>*<CRC-32 of the text, 8 hex digits> and a newline. The host sends a command
 * and waits for the answer that begins with the same letter; L lines may come before it.
 *
 *   I               I loggrad 1 <model sha256> <rows> <codes a row> <hex digits a code> <layers> <outputs>
 *                     <bytes of net_state>                                  who is there
 *   F 0 or F 1      F 0                                                     begin a frame; 1: with L lines
 *   R <codes>       R <status>                                              the next row, codes in hex
 *   S               S <status> <class> <ticks> <scores, int8 in hex>        the result
 *   X               X 0                                                     end of the program
 *                   L <layer> <bytes> <CRC-32 of them>                      a piece of a layer's output
 *                   E                                                       a line that cannot be read, once
 *
 * Status is lg_status: 0 the frame is complete, 1 more rows are needed, negative an error; the frame stays as
 * it was. Ticks (hex) count the rows and the network, not the conversation. Nothing here is larger than a row. */
#include <stddef.h>
#include <stdint.h>

#include "lg_board.h"
#include "lg_crc32.h"
#include "net.h"

enum { CODE_DIGITS = 2 * sizeof(net_code), CRC_DIGITS = 8, CLOSED = -1 };

static struct {
    uint64_t ticks;
    uint32_t started;
    uint32_t reporting;
    uint32_t sent_crc;
    uint32_t length; /* of the line that was read: characters after the letter */
    uint32_t value;  /* and the number they end with */
    net_state net;
    net_code row[NET_ROW_CODES];
} app __attribute__((section(".lg_state"), aligned(8)));

typedef char app_size_is_as_planned[sizeof(void *) != 4 || sizeof app == NET_PROGRAM_BYTES ? 1 : -1];

static void put(const char *text)
{
    size_t size = 0;
    while (text[size] != '\0') {
        size++;
    }
    app.sent_crc = lg_crc32(app.sent_crc, text, size);
    (void)lg_board_write(text, size);
}

static void put_hex(uint64_t value, uint32_t digits)
{
    char text[17];
    text[digits] = '\0';
    for (uint32_t i = digits; i > 0; i--) {
        text[i - 1] = "0123456789abcdef"[value & 15u];
        value >>= 4;
    }
    put(text);
}

static void put_number(int32_t value)
{
    char text[12];
    char *place = text + sizeof text - 1;
    uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    *place = '\0';
    do {
        *--place = (char)('0' + rest % 10u);
        rest /= 10u;
    } while (rest != 0u);
    if (value < 0) {
        *--place = '-';
    }
    put(" ");
    put(place);
}

static void end_line(void)
{
    const uint32_t crc = app.sent_crc;
    put("*");
    put_hex(crc, CRC_DIGITS);
    put("\n");
    app.sent_crc = 0u;
}

static void start_clock(void)
{
    app.started = lg_board_ticks();
}

static void stop_clock(void)
{
    app.ticks += (uint32_t)(lg_board_ticks() - app.started);
}

static void observe(uint32_t layer, const int8_t *data, uint32_t size)
{
    stop_clock();
    if (app.reporting != 0u) {
        put("L");
        put_number((int32_t)layer);
        put_number((int32_t)size);
        put(" ");
        put_hex(lg_crc32(0u, data, size), CRC_DIGITS);
        end_line();
    }
    start_clock();
}

static int next(void)
{
    unsigned char c;
    return lg_board_read(&c, 1u) == 1u ? c : CLOSED;
}

static int nibble(int c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int ends(int c)
{
    return c == '\n' || c == CLOSED;
}

/* A character after the letter: first a space, then hex digits, which go to app.row, as many codes as fit.
 * 1: the character has no place there. */
static int decode(int c)
{
    const int digit = nibble(c);
    const uint32_t digits = app.length++;
    if (digits == 0u) {
        return c != ' ';
    }
    app.value = (app.value << 4) | (uint32_t)(digit & 15);
    if (digits % CODE_DIGITS == 0u && digits / CODE_DIGITS <= NET_ROW_CODES) {
        app.row[digits / CODE_DIGITS - 1u] = (net_code)app.value;
    }
    return digit < 0;
}

/* Read a line up to its newline: its letter, or 'E' if it is damaged, or CLOSED. */
static int receive(void)
{
    const int letter = next();
    int c = letter;
    uint32_t crc = 0u, told = 0u, told_digits = 0u;
    int bad = 0;
    app.length = 0u;
    app.value = 0u;
    for (int first = 1; c != '*' && !ends(c); first = 0) {
        const unsigned char byte = (unsigned char)c;
        bad |= first ? 0 : decode(c);
        crc = lg_crc32(crc, &byte, 1u);
        c = next();
    }
    if (c == '*') {
        for (c = next(); !ends(c); c = next()) {
            const int digit = nibble(c);
            bad |= digit < 0;
            told = (told << 4) | (uint32_t)(digit & 15);
            told_digits++;
        }
    }
    if (c == CLOSED) {
        return CLOSED;
    }
    return bad != 0 || told_digits != CRC_DIGITS || told != crc ? 'E' : letter;
}

/* Does the command take what follows its letter? */
static int takes_arguments(int letter)
{
    switch (letter) {
    case 'I':
    case 'S':
    case 'X':
        return app.length == 0u;
    case 'F':
        return app.length == 2u && app.value <= 1u;
    case 'R':
        return app.length % CODE_DIGITS == 1u;
    default:
        return 0;
    }
}

static void answer_who(void)
{
    put("I loggrad 1 " NET_MODEL_SHA256);
    put_number((int32_t)NET_ROWS);
    put_number((int32_t)NET_ROW_CODES);
    put_number((int32_t)CODE_DIGITS);
    put_number((int32_t)NET_LAYERS);
    put_number((int32_t)NET_OUTPUTS);
    put_number((int32_t)sizeof(net_state));
}

static void answer_frame(void)
{
    net_begin(&app.net);
    app.ticks = 0u;
    app.reporting = app.value;
    put("F 0");
}

static void answer_row(void)
{
    start_clock();
    const lg_status status = net_push_row(&app.net, app.row, app.length / CODE_DIGITS);
    stop_clock();
    put("R");
    put_number((int32_t)status);
}

static void answer_scores(void)
{
    const int8_t *scores;
    const lg_status status = net_scores(&app.net, &scores);
    put("S");
    put_number((int32_t)status);
    if (status == LG_OK) {
        put_number((int32_t)net_class(&app.net));
        put(" ");
        put_hex(app.ticks, 16u);
        put(" ");
        for (uint32_t i = 0; i < NET_OUTPUTS; i++) {
            put_hex((uint8_t)scores[i], 2u);
        }
    }
}

int main(void)
{
    lg_board_init();
    if (net_init(&app.net, observe) != LG_OK) {
        return 1;
    }
    for (;;) {
        int letter = receive();
        if (letter == CLOSED) {
            return 0;
        }
        letter = takes_arguments(letter) ? letter : 'E';
        switch (letter) {
        case 'I':
            answer_who();
            break;
        case 'F':
            answer_frame();
            break;
        case 'R':
            answer_row();
            break;
        case 'S':
            answer_scores();
            break;
        case 'X':
            put("X 0");
            break;
        default:
            put("E");
            break;
        }
        end_line();
        if (letter == 'X') {
            return 0;
        }
    }
}
