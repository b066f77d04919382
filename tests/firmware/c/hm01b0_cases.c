/* hm01b0.c against a simulated sensor. The sensor decodes the bus from the edges of its two lines, keeps registers, and
 * sends frames as its registers say: code = 7 * line + 3 * column, mod 251. Arguments: what to do; prints what comes out.
 *
 *   rows CODES ROWS GAP   all rows; GAP polls pass between two rows
 *   FAULT CODES           dead | other | deaf | still | short | stuck: the status of row 0 with that fault
 *   size CODES            the status of row 0
 *   expose CODES LINES    row 0, then LINES of exposure, then row 0 again: both statuses, and the registers of exposure
 *   gone CODES            the statuses of row 1 without row 0, of a row past the frame, and of row 0 after it */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "camera_pins.h"
#include "lg_board.h"

enum { ADDRESS = 0x24, NUMBER_BYTES = 2, PHASE = 5 /* looks per half of the pixel clock */ };

static const char *fault = "";
static uint8_t registers[0x4000];
static struct {
    uint64_t time;
    int began, href;
} video;
static uint32_t writes;

static int has(const char *name)
{
    return strcmp(fault, name) == 0;
}

static void sensor_write(uint32_t number, uint8_t value)
{
    registers[number & 0x3FFFu] = value;
    writes++;
}

static uint8_t sensor_read(uint32_t number)
{
    return registers[number & 0x3FFFu];
}

#include "two_wire_sensor.h"

void camera_pins_start(void)
{
    registers[0] = 0x01;
    registers[1] = has("other") ? 0x00 : 0xB0;
}

static uint32_t pair(uint32_t number)
{
    return (uint32_t)registers[number] << 8 | registers[number + 1];
}

uint32_t camera_pins(void)
{
    const uint64_t periods = video.time++ / (2 * PHASE);
    const uint32_t clock = video.time % (2 * PHASE) >= PHASE && !has("stuck") ? (uint32_t)CAMERA_PCLK : 0u;
    if (registers[0x0100] != 1 || has("still")) {
        return clock;
    }
    const int binned = registers[0x0390] == 3;
    const uint32_t columns = binned ? 162u : 324u, rows = binned ? 122u : 244u, length = pair(0x0342);
    const uint32_t line = (uint32_t)(periods / length % pair(0x0340)), column = (uint32_t)(periods % length);
    const uint32_t sent = has("short") ? 60u : columns;
    /* a quarter of a line passes between VSYNC and HREF */
    const int vsync = line < rows, href = vsync && column >= length / 4 && column < length / 4 + sent;
    video.began |= href && !video.href;
    video.href = href;
    const uint32_t code = href ? (7u * line + 3u * (column - length / 4)) % 251u : 0xFFu;
    return clock | (vsync ? (uint32_t)CAMERA_VSYNC : 0u) | (href ? (uint32_t)CAMERA_HREF : 0u) | code << CAMERA_D0 |
           0x3Fu | (uint32_t)1 << 20;
}

int camera_line_began(void)
{
    const int began = video.began;
    video.began = 0;
    return began;
}

static uint8_t line[512];

int main(int count, char **arguments)
{
    const char *what = count > 2 ? arguments[1] : "";
    const uint32_t codes = (uint32_t)atoi(count > 2 ? arguments[2] : "0");
    if (strcmp(what, "rows") == 0 && count == 5) {
        for (uint32_t row = 0; row < (uint32_t)atoi(arguments[3]); row++) {
            memset(line, 0xA5, sizeof line);
            const int status = lg_board_camera_line(line, codes, row);
            printf("%d", status);
            for (uint32_t i = 0; i < codes; i++) {
                printf(" %u", line[i]);
            }
            printf("%s\n", line[codes] == 0xA5 ? "" : " overrun");
            for (int gap = 0; gap < atoi(arguments[4]); gap++) {
                (void)camera_pins();
            }
        }
        printf("registers %u %u %u %u %u %u writes %u\n", registers[0x0100], registers[0x0390], registers[0x0383],
               registers[0x3059], pair(0x0342), pair(0x0340), writes);
    } else if (strcmp(what, "expose") == 0 && count == 4) {
        const int first = lg_board_camera_line(line, codes, 0);
        printf("%d %u\n", first, registers[0x2100]);
        printf("%d", lg_board_camera_expose((uint32_t)atoi(arguments[3])));
        printf(" %d", lg_board_camera_line(line, codes, 0));
        printf(" %u %u %u %u %u\n", registers[0x2100], pair(0x0202), registers[0x0205], pair(0x020E),
               registers[0x1008]);
    } else if (strcmp(what, "gone") == 0) {
        printf("%d", lg_board_camera_line(line, codes, 1));
        printf(" %d", lg_board_camera_line(line, codes, 0));
        printf(" %d", lg_board_camera_line(line, codes, 244));
        printf(" %d", lg_board_camera_line(line, codes, 1));
        printf(" %d\n", lg_board_camera_line(line, codes, 0));
    } else {
        fault = what;
        const int status = lg_board_camera_line(line, codes, 0);
        printf("%d %u\n", status, writes);
    }
    return 0;
}
