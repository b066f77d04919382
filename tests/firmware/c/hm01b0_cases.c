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

enum { ADDRESS = 0x24, PHASE = 5 /* looks per half of the pixel clock */ };
enum { IDLE, RECEIVE, ACKNOWLEDGE, SEND, HOST_ACKNOWLEDGE };

static const char *fault = "";
static uint8_t registers[0x4000];
static struct {
    int sda, scl, sda_out; /* sda_out 0: the sensor pulls the line low */
    int state, bits, bytes, reading, addressed;
    uint32_t shift, number;
} bus = {1, 1, 1, IDLE, 0, 0, 0, 0, 0, 0};
static struct {
    uint64_t time;
    int began, href;
} video;
static uint32_t writes;

static int has(const char *name)
{
    return strcmp(fault, name) == 0;
}

static int level(void)
{
    return bus.sda && bus.sda_out;
}

static void byte_taken(void)
{
    bus.sda_out = 1;
    const uint32_t byte = bus.shift & 0xFFu;
    if (bus.bytes == 0) {
        bus.addressed = byte >> 1 == ADDRESS && !has("dead");
        bus.reading = (int)(byte & 1u);
    } else if (bus.bytes == 1) {
        bus.number = byte << 8;
    } else if (bus.bytes == 2) {
        bus.number |= byte;
    } else {
        registers[bus.number & 0x3FFFu] = (uint8_t)byte;
        writes++;
    }
    if (bus.addressed && !(has("deaf") && bus.bytes == 3)) {
        bus.sda_out = 0;
    }
    bus.bytes++;
    bus.state = ACKNOWLEDGE;
}

static void send_bit(void)
{
    bus.sda_out = (registers[bus.number & 0x3FFFu] >> (7 - bus.bits)) & 1;
}

static void clock_fell(void)
{
    if (bus.state == RECEIVE && bus.bits == 8) {
        byte_taken();
    } else if (bus.state == ACKNOWLEDGE) {
        bus.sda_out = 1;
        bus.bits = 0;
        bus.state = bus.reading ? SEND : RECEIVE;
        if (bus.reading && bus.addressed) {
            send_bit();
        }
    } else if (bus.state == SEND) {
        if (++bus.bits == 8) {
            bus.sda_out = 1;
            bus.state = HOST_ACKNOWLEDGE;
        } else {
            send_bit();
        }
    } else if (bus.state == HOST_ACKNOWLEDGE) {
        bus.state = IDLE;
    }
}

void camera_scl(int released)
{
    if (bus.scl && !released) {
        clock_fell();
    } else if (!bus.scl && released && bus.state == RECEIVE) {
        bus.shift = bus.shift << 1 | (uint32_t)level();
        bus.bits++;
    }
    bus.scl = released;
}

void camera_sda(int released)
{
    const int before = level();
    bus.sda = released;
    if (bus.scl && before && !level()) { /* start */
        bus.state = RECEIVE;
        bus.bits = bus.bytes = bus.reading = 0;
    } else if (bus.scl && !before && level()) { /* stop */
        bus.state = IDLE;
    }
}

int camera_sda_level(void)
{
    return level();
}

void camera_delay(void)
{
}

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
        printf("%d %u\n", lg_board_camera_line(line, codes, 0), registers[0x2100]);
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
