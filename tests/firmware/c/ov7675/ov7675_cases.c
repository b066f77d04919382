/* ov7675.c against a simulated sensor. The sensor decodes the bus from the edges of its two lines, keeps registers, and
 * sends frames of 510 lines, of which 480 have codes: 7 * line + 3 * column + exposure, mod 251. A frame is exposed as the
 * registers were when the one before it began. Arguments: periods of the pixel clock a code, 1 or 2; what to do; prints
 * what comes out.
 *
 *   rows CODES ROWS GAP   all rows; GAP looks pass between two rows; then the registers
 *   ask CODES ROW...      those rows in that order: the statuses, and the first code where there is one
 *   expose CODES LINES    row 0, then LINES of exposure, then row 0 again: statuses, first codes, registers of exposure
 *   FAULT CODES           dead | other | deaf | still | short | stuck: the status of row 0 with that fault
 *   size CODES            the status of row 0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "camera_pins.h"
#include "lg_board.h"

enum { ADDRESS = 0x21, NUMBER_BYTES = 1, PHASE = 3 /* looks per half of the pixel clock */ };
enum { LINE_CODES = 784, BLANK_CODES = 72, FRAME_LINES = 510, SYNC_LINES = 3, FIRST_LINE = 20, LINES = 480 };
enum { GAIN = 0x00, COM1 = 0x04, AECHH = 0x07, PID = 0x0A, AECH = 0x10, CLKRC = 0x11, COM7 = 0x12, COM8 = 0x13 };
enum { VER = 0x0B, COM10 = 0x15, COM13 = 0x3D, AUTOMATIC = 40, BAYER_RAW = 1, AEC = 1 };

static const char *fault = "";
static uint8_t registers[256];
static struct {
    uint32_t look, period, line; /* within a period, a line, a frame */
    uint32_t periods;            /* a code */
    uint32_t sent;               /* codes of a line */
    uint32_t edges;              /* of HREF */
    uint32_t exposure, next_exposure;
} video = {0u, 0u, 400u, 2u, 640u, 0u, 0u, 0u};

static int has(const char *name)
{
    return strcmp(fault, name) == 0;
}

static void reset(void)
{
    memset(registers, 0xFF, sizeof registers);
    registers[COM7] = 0u;
    registers[PID] = has("other") ? 0x26 : 0x76;
    registers[VER] = 0x73;
}

static void sensor_write(uint32_t number, uint8_t value)
{
    if (number == COM7 && (value & 0x80u) != 0u) {
        reset();
    } else if (number != PID && number != VER) {
        registers[number] = value;
    }
}

static uint8_t sensor_read(uint32_t number)
{
    return registers[number];
}

#include "../two_wire_sensor.h"

void camera_pins_start(void)
{
    reset();
}

static uint32_t exposure_set(void)
{
    return (registers[COM8] & AEC) != 0
               ? (uint32_t)AUTOMATIC
               : (uint32_t)registers[AECHH] << 10 | (uint32_t)registers[AECH] << 2 | (registers[COM1] & 3u);
}

static int href(void)
{
    const uint32_t first = BLANK_CODES * video.periods;
    return video.line >= FIRST_LINE && video.line < FIRST_LINE + LINES && video.period >= first &&
           video.period < first + video.sent * video.periods;
}

static void pass(void)
{
    if (++video.look < 2 * PHASE) {
        return;
    }
    const int before = href();
    video.look = 0u;
    if (++video.period == LINE_CODES * video.periods) {
        video.period = 0u;
        if (++video.line == FRAME_LINES) {
            video.line = 0u;
            video.exposure = video.next_exposure;
            video.next_exposure = exposure_set();
        }
    }
    video.edges += (uint32_t)(href() && !before);
}

uint32_t camera_pins(void)
{
    pass();
    const uint32_t clock = video.look >= PHASE && !has("stuck") ? (uint32_t)CAMERA_PCLK : 0u;
    const int vsync = video.line < SYNC_LINES && !has("still");
    return clock | (vsync ? (uint32_t)CAMERA_VSYNC : 0u) | (href() ? (uint32_t)CAMERA_HREF : 0u) | 0xFu | 1u << 30;
}

/* The code is there while the clock is high. */
uint8_t camera_code(void)
{
    pass();
    if (!href() || video.look < PHASE || registers[COM7] != BAYER_RAW || registers[COM10] != 0) {
        return 0xFFu;
    }
    const uint32_t line = video.line - FIRST_LINE, column = video.period / video.periods - BLANK_CODES;
    return (uint8_t)((7u * line + 3u * column + video.exposure) % 251u);
}

void camera_lines_clear(void)
{
    video.edges = 0u;
}

uint32_t camera_lines(void)
{
    return video.edges;
}

static uint8_t line[512];

static void print_rows(uint32_t codes, uint32_t rows, int gap)
{
    for (uint32_t row = 0; row < rows; row++) {
        memset(line, 0xA5, sizeof line);
        const int status = lg_board_camera_line(line, codes, row);
        printf("%d", status);
        for (uint32_t i = 0; i < codes; i++) {
            printf(" %u", line[i]);
        }
        printf("%s\n", line[codes] == 0xA5 ? "" : " overrun");
        for (int i = 0; i < gap; i++) {
            pass();
        }
    }
    printf("registers %u %u %u %u\n", registers[COM7], registers[CLKRC], registers[COM13], registers[COM8]);
}

int main(int count, char **arguments)
{
    const char *what = count > 3 ? arguments[2] : "";
    const uint32_t codes = (uint32_t)atoi(count > 3 ? arguments[3] : "0");
    video.periods = count > 1 && arguments[1][0] == '1' ? 1u : 2u;
    if (strcmp(what, "rows") == 0 && count == 6) {
        print_rows(codes, (uint32_t)atoi(arguments[4]), atoi(arguments[5]));
    } else if (strcmp(what, "ask") == 0) {
        for (int i = 4; i < count; i++) {
            const int status = lg_board_camera_line(line, codes, (uint32_t)atoi(arguments[i]));
            printf("%d %u\n", status, status == 0 ? line[0] : 0u);
        }
    } else if (strcmp(what, "expose") == 0 && count == 5) {
        const int first = lg_board_camera_line(line, codes, 0);
        printf("%d %u\n", first, line[0]);
        printf("%d", lg_board_camera_expose((uint32_t)atoi(arguments[4])));
        const int fixed = lg_board_camera_line(line, codes, 0);
        printf(" %d %u", fixed, line[0]);
        printf(" %u %u %u\n", registers[COM8] & AEC, exposure_set(), registers[GAIN]);
    } else {
        fault = what;
        video.sent = has("short") ? 300u : 640u;
        printf("%d\n", lg_board_camera_line(line, codes, 0));
    }
    return 0;
}
