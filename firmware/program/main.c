/* SPDX-License-Identifier: Apache-2.0 */
/* The program on the board: RAW rows in over the host channel, scores out.
 *
 * One text for every network and every board: the network is net.h, the board lg_board.h. export.firmware copies it
 * into a project, under the network's name. The host's side is firmware/channel.py, with the same names for what both agree on.
 *
 * Every line, both ways, is <text>*<CRC-32 of the text, 8 hex digits> and a newline. The host sends a command and
 * waits for the answer that begins with the same letter; L lines may come before it. An empty line is nothing. Every
 * command may be sent again when its answer is lost: a row carries its number and is pushed once.
 *
 *   I               I loggrad 2 <model sha256> <rows> <codes a row> <hex digits a code> <layers> <outputs>
 *                     <bytes of net_state> <stamp>                          who is there
 *   F <report>      F 0                                                     begin a frame; report: 0 scores, 1 also
 *                                                                           the digest, 2 also L lines
 *   R <row> <codes> R <status> <row>                                        the next row: 4 hex digits, codes in hex
 *   S               S <status> <class> <ticks> <scores> <digest>            the result of the rows
 *   C               C <status> <class> <ticks> <scores> <digest>            a frame of the board's camera
 *   K <frame>       K <status> <class> <ticks> <scores> <digest>            as C, and its codes before the answer, as
 *                                                                           rows.h has them; the digest is theirs. Only
 *                                                                           where board.json has a camera
 *   M               M <stack used> <stack size> <arena used>                bytes; 0 0 where they are not known; the
 *                                                                           last one of an interpreter only
 *   X               X 0                                                     end of the program
 *                   L <layer> <digest so far> <bytes>                       a piece of a layer's output
 *                   E                                                       a line that cannot be read, once
 *
 * In place of a class a detector has the number of objects, and each of them is a word behind the digest: row,
 * column, class and margin, 4 hex digits each.
 *
 * Status is lg_status: 0 the frame is complete, 1 more rows are needed, negative an error; the frame stays as it was.
 * -64: it is not this row's turn; -101 and below: -100 and the camera's error (lg_board.h). Ticks count the rows and
 * the network, not objects, nor the conversation. The digest is the CRC-32 of all pieces of all layers in the order in which they
 * are made, which is the same for every frame. A line has no greatest length: codes past the end of a row are dropped,
 * digits are counted as far as MOST_DIGITS, and the row is refused. */
#include <stddef.h>
#include <stdint.h>

#include "lg_board.h"
#include "lg_crc32.h"
#include "net.h"
#ifdef LG_BOARD_HAS_CAMERA
#include "rows.h"
#endif

#define PROTOCOL "loggrad 2"
#define PIECE "L"

/* The conversation is compiled for size. */
#define SMALL __attribute__((cold, noinline))

enum { WHO = 'I', FRAME = 'F', ROW = 'R', RESULT = 'S', CAMERA_FRAME = 'C', KEEP = 'K', MEMORY = 'M', END = 'X' };
enum { UNREADABLE = 'E' };
enum { REPORT_SCORES, REPORT_DIGEST, REPORT_LAYERS };
enum { OUT_OF_TURN = -64, CAMERA = -100 }; /* a status */
enum { CODE_DIGITS = 2 * sizeof(net_code), ROW_DIGITS = 4, CRC_DIGITS = 8 };
enum { MOST_DIGITS = CODE_DIGITS * (NET_ROW_CODES + CRC_DIGITS) }; /* more than any field has */
enum { LETTER, NUMBER, CODES, CHECKSUM };                          /* the fields of a line */
enum { CLOSED = -1 }; /* in place of a byte: the host has closed its side */

static struct __attribute__((aligned(8))) {
    uint32_t ticks;
    uint32_t started;
    uint32_t digest;
    uint32_t sent_crc;
    uint32_t number; /* of the line that was read: the value of its number, */
    uint32_t digits; /* the digits of its last field, */
    uint8_t field;   /* and which field that is */
    uint8_t report;
    uint16_t rows; /* taken in this frame */
    net_state net;
    net_code row[NET_ROW_CODES];
} app __attribute__((section(".lg_state")));

typedef char app_size_is_as_planned[sizeof(void *) != 4 || sizeof app == NET_PROGRAM_BYTES ? 1 : -1];
typedef char rows_have_four_digits[NET_ROWS <= 0xFFFFu ? 1 : -1];

/* The linker script's: the end of the stack, and a symbol whose address is its size. NULL where there is no script. */
extern uint32_t lg_stack_top[] __attribute__((weak));
extern char lg_stack_bytes[] __attribute__((weak));
static const uint32_t unused = 0xA5A5A5A5u;

static uint32_t *stack_bottom(void)
{
    return (uint32_t *)((uintptr_t)lg_stack_top - (uintptr_t)lg_stack_bytes);
}

/* Fill the stack from its bottom to a little below this function's own frame. */
static void __attribute__((noinline)) paint_stack(void)
{
    volatile uint32_t here = unused;
    const uintptr_t end = (uintptr_t)&here - 64u;
    volatile uint32_t *word = stack_bottom();
    while (word != NULL && (uintptr_t)word < end) {
        *word++ = here;
    }
}

static void SMALL put(const char *text, size_t size)
{
    app.sent_crc = lg_crc32(app.sent_crc, text, size);
    (void)lg_board_write(text, size);
}

static void SMALL put_number(int32_t value)
{
    char text[12];
    char *place = text + sizeof text;
    uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    do {
        *--place = (char)('0' + rest % 10u);
        rest /= 10u;
    } while (rest != 0u);
    if (value < 0) {
        *--place = '-';
    }
    *--place = ' ';
    put(place, (size_t)(text + sizeof text - place));
}

/* A mark, then bytes in hex. */
static void SMALL put_bytes(char mark, const int8_t *data, uint32_t size)
{
    static const char digits[] = "0123456789abcdef";
    char text[34];
    size_t used = 1u;
    text[0] = mark;
    for (uint32_t i = 0; i < size; i++) {
        if (used >= sizeof text - 1u) {
            put(text, used);
            used = 0u;
        }
        text[used++] = digits[(uint8_t)data[i] >> 4];
        text[used++] = digits[data[i] & 15];
    }
    put(text, used);
}

static void SMALL put_word(char mark, uint32_t value)
{
    const int8_t bytes[] = {(int8_t)(value >> 24), (int8_t)(value >> 16), (int8_t)(value >> 8), (int8_t)value};
    put_bytes(mark, bytes, sizeof bytes);
}

static void end_line(void)
{
    put_word('*', app.sent_crc);
    put("\n", 1u);
    app.sent_crc = 0u;
}

static void start_clock(void)
{
    app.started = lg_board_ticks();
}

static void stop_clock(void)
{
    app.ticks += lg_board_ticks() - app.started;
}

static void observe(uint32_t layer, const int8_t *data, uint32_t size)
{
    stop_clock();
    app.digest = lg_crc32(app.digest, data, size);
    if (app.report == REPORT_LAYERS) {
        put(PIECE, 1u);
        put_number((int32_t)layer);
        put_word(' ', app.digest);
        put_bytes(' ', data, size);
        end_line();
    }
    start_clock();
}

static int next(void)
{
    unsigned char c;
    return lg_board_read(&c, 1u) == 1u ? c : CLOSED;
}

static int ends(int c)
{
    return c == '\n' || c == CLOSED;
}

static int nibble(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Has the line that was read what its letter demands, and nothing more? */
static int takes_arguments(int letter)
{
    switch (letter) {
    case FRAME:
        return app.field == NUMBER && app.digits == 1u && app.number <= REPORT_LAYERS;
    case ROW:
        return app.field == CODES && app.digits % CODE_DIGITS == 0u;
#ifdef LG_BOARD_HAS_CAMERA
    case KEEP:
        return app.field == NUMBER && app.digits == ROW_DIGITS;
#endif
    case WHO:
    case RESULT:
    case CAMERA_FRAME:
    case MEMORY:
    case END:
        return app.field == LETTER;
    default:
        return 0;
    }
}

/* Read a line up to its newline: its letter, or UNREADABLE, or CLOSED. Number, codes and checksum are
 * fields of hex digits, after a space each, the last after the star; as many codes as fit go to app.row. */
static int SMALL receive(void)
{
    int letter;
    do {
        letter = next();
    } while (letter == '\n');
    uint32_t crc = 0u, word = 0u, digits = 0u;
    int field = LETTER, bad = 0, c = letter;
    for (int first = 1; !ends(c); first = 0) {
        const unsigned char byte = (unsigned char)c;
        const int digit = nibble(c);
        if (c == '*' || c == ' ') {
            bad |= field == NUMBER && c == ' ' && digits != ROW_DIGITS;
            bad |= field == CHECKSUM || (field == CODES && c == ' ');
            app.field = (uint8_t)field;
            app.digits = digits;
            digits = 0u;
            field = c == '*' || field >= CODES ? CHECKSUM : field + 1;
        } else if (first == 0) {
            bad |= digit < 0 || field == LETTER;
            word = (word << 4) | (uint32_t)(digit & 15);
            digits += digits < MOST_DIGITS ? 1u : 0u;
            if (field == NUMBER) {
                app.number = word;
            } else if (field == CODES && digits % CODE_DIGITS == 0u && digits <= CODE_DIGITS * NET_ROW_CODES) {
                app.row[digits / CODE_DIGITS - 1u] = (net_code)word;
            }
        }
        crc = field == CHECKSUM ? crc : lg_crc32(crc, &byte, 1u);
        c = next();
    }
    if (c == CLOSED) {
        return CLOSED;
    }
    bad |= field != CHECKSUM || digits != CRC_DIGITS || word != crc;
    return bad == 0 && takes_arguments(letter) ? letter : UNREADABLE;
}

/* Nobody watches a frame of which only the scores are wanted: its ticks are those of the network alone. */
static lg_status get_ready(void)
{
    return net_init(&app.net, sizeof app.net, NET_MODEL_SHA256, app.report == REPORT_SCORES ? NULL : observe);
}

/* A network that remembers begins with the conversation, any other with the frame. */
static void get_ready_for_frame(void)
{
#ifdef NET_STATEFUL
    (void)net_observe(&app.net, app.report == REPORT_SCORES ? NULL : observe);
#else
    (void)get_ready();
#endif
}

static void begin_frame(void)
{
    (void)net_begin(&app.net);
    app.ticks = 0u;
    app.digest = 0u;
    app.rows = 0u;
}

static int push_row(uint32_t codes)
{
    start_clock();
    const int status = net_push_row(&app.net, app.row, codes);
    stop_clock();
    return status;
}

/* The row whose turn it is is pushed; the one before it has come twice. */
static int take_row(void)
{
    if (app.number == app.rows) {
        const int status = push_row(app.digits / CODE_DIGITS);
        app.rows = (uint16_t)(app.rows + (status >= 0));
        return status;
    }
    if (app.number + 1u == app.rows) {
        return app.rows == NET_ROWS ? LG_OK : LG_NO_LINE;
    }
    return OUT_OF_TURN;
}

#ifdef LG_BOARD_HAS_CAMERA
/* A row of the frame of that number, of which the host has only this one chance. */
static void SMALL send_row(uint32_t number)
{
    row_sender sent;
    row_begin(&sent, app.number, number);
    for (uint32_t i = 0; i < NET_ROW_CODES; i++) {
        for (uint32_t left = sizeof(net_code); left-- > 0u;) {
            const uint8_t byte = (uint8_t)((uint32_t)app.row[i] >> (8u * left));
            app.digest = lg_crc32(app.digest, &byte, 1u);
            row_number(&sent, byte, 1u);
        }
    }
    row_end(&sent);
}
#endif

static int wants_camera(int letter)
{
#ifdef LG_BOARD_HAS_CAMERA
    if (letter == KEEP) {
        return 1;
    }
#endif
    return letter == CAMERA_FRAME;
}

static int take_camera_frame(int letter)
{
    int status = LG_NO_LINE;
    begin_frame();
    for (uint32_t row = 0; status == LG_NO_LINE; row++) {
        const int error = lg_board_camera_line(app.row, NET_ROW_CODES, row);
        status = error < 0 ? CAMERA + error : push_row(NET_ROW_CODES);
#ifdef LG_BOARD_HAS_CAMERA
        if (letter == KEEP && status >= LG_OK) {
            send_row(row);
        }
#endif
    }
    (void)letter;
    return status;
}

#ifdef NET_CELL_ROWS
/* How many objects are in this frame. */
static int32_t SMALL answered(void)
{
    int32_t count = 0;
    uint32_t place = 0u;
    lg_object object;
    while (net_next_object(&app.net, &place, &object) == 1) {
        count++;
    }
    return count;
}

static void SMALL put_objects(int status)
{
    uint32_t place = 0u;
    lg_object object;
    while (status == LG_OK && net_next_object(&app.net, &place, &object) == 1) {
        const uint16_t fields[] = {object.row, object.column, object.label, (uint16_t)object.margin};
        int8_t bytes[2 * sizeof fields / sizeof *fields];
        for (uint32_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (int8_t)(fields[i / 2u] >> (i % 2u == 0u ? 8 : 0));
        }
        put_bytes(' ', bytes, sizeof bytes);
    }
}
#else
static int32_t answered(void)
{
    return net_class(&app.net);
}

static void put_objects(int status)
{
    (void)status;
}
#endif

static void put_scores(int status)
{
    const int8_t *scores = NULL;
    status = status < 0 ? status : (int)net_scores(&app.net, &scores);
    put_number(status);
    if (status == LG_OK) {
        put_number(answered());
        put_word(' ', app.ticks);
        put_bytes(' ', scores, NET_OUTPUTS);
        put_word(' ', app.digest);
    }
    put_objects(status);
}

static void put_who(void)
{
    static const char who[] = " " PROTOCOL " " NET_MODEL_SHA256;
    static const char stamp[] = " " NET_STAMP;
    static const uint32_t numbers[] = {NET_ROWS,   NET_ROW_CODES, CODE_DIGITS,
                                       NET_LAYERS, NET_OUTPUTS,   sizeof(net_state)};
    put(who, sizeof who - 1u);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        put_number((int32_t)numbers[i]);
    }
    put(stamp, sizeof stamp - 1u);
}

static void put_memory(void)
{
    const uint32_t *word = stack_bottom();
    while (word != lg_stack_top && *word == unused) {
        word++;
    }
    put_number((int32_t)((uintptr_t)lg_stack_top - (uintptr_t)word));
    put_number((int32_t)(uintptr_t)lg_stack_bytes);
#ifdef NET_INTERPRETED
    put_number((int32_t)net_arena_used(&app.net));
#endif
}

/* The work comes first: its L lines go ahead of the answer. */
static void SMALL answer(char letter)
{
    const int status = letter == ROW ? take_row() : wants_camera(letter) ? take_camera_frame(letter) : LG_OK;
    put(&letter, 1u);
    switch (letter) {
    case WHO:
#ifdef NET_STATEFUL
        (void)net_reset(&app.net);
#endif
        put_who();
        break;
    case FRAME:
        app.report = (uint8_t)app.number;
        get_ready_for_frame();
        begin_frame();
        put_number(status);
        break;
    case ROW:
        put_number(status);
        put_number((int32_t)app.number);
        break;
    case RESULT:
    case CAMERA_FRAME:
#ifdef LG_BOARD_HAS_CAMERA
    case KEEP:
#endif
        put_scores(status);
        break;
    case MEMORY:
        put_memory();
        break;
    default: /* END; the letter of UNREADABLE is all */
        if (letter == END) {
            put_number(status);
        }
    }
    end_line();
}

int main(void)
{
    paint_stack();
    lg_board_init();
    if (get_ready() != LG_OK) {
        return 1;
    }
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
