/* SPDX-License-Identifier: Apache-2.0 */
/* lg_board_camera_line for a Himax HM01B0: 8-bit linear codes of a monochrome sensor, 324x324, over its 8-bit parallel
 * port, read by polling. Registers are those of the data sheet, whose names they bear.
 *
 * Window: up to 162x122 codes the sensor bins 2x2, up to 324x244 (its QVGA window) it does not; the window's columns and
 * rows are taken from the middle.
 *
 * Time: the clock input is 12 MHz and the core of the sensor runs at an eighth of it, so a code comes every 0.67 us: 83
 * cycles at 125 MHz for the loop below, whose instructions take fewer than 50 once they are in the flash's cache.
 * Between two rows lies what LINE_LENGTH_PCK says:
 *
 *   12000 / 1.5 MHz = 8 ms a row, 1.1 s a binned frame, 2.1 s an unbinned one
 *
 * and this is what the program has for the work of a row before the next one begins; whoever is late is told so
 * (LG_CAMERA_LATE). HM01B0_LINE_PCK sets another length. Exposure follows the sensor's own control and is at least two
 * rows, 16 ms: enough indoors, too long in the sun. After lg_board_camera_expose it is fixed: AE_CTRL 0, INTEGRATION_H and
 * _L in lines, ANALOG_GAIN and DIGITAL_GAIN 1. DPC_CTRL 0 always: no code is replaced by its neighbours'. There is no
 * register for a gamma: codes are linear.
 *
 * Row 0 sets the sensor up if it is not yet, over its two-wire bus (address 0x24, register numbers of 16 bits, one byte
 * of data), made here of two pins that are pulled low or let go. camera_pins.h of the board gives the pins. */
#include "camera_pins.h"
#include "camera_window.h"
#include "lg_board.h"
#include "two_wire.h"

#ifndef HM01B0_LINE_PCK
#define HM01B0_LINE_PCK 12000u
#endif

enum { BUS_ADDRESS = 0x24, READ = 1, MODEL_ID = 0x01B0 };
enum {
    MODEL_ID_H = 0x0000,
    MODEL_ID_L = 0x0001,
    MODE_SELECT = 0x0100,
    SW_RESET = 0x0103,
    GRP_PARAM_HOLD = 0x0104,
    INTEGRATION_H = 0x0202,
    INTEGRATION_L = 0x0203,
    ANALOG_GAIN = 0x0205,
    DIGITAL_GAIN_H = 0x020E,
    DIGITAL_GAIN_L = 0x020F,
    FRAME_LENGTH_LINES_H = 0x0340,
    FRAME_LENGTH_LINES_L = 0x0341,
    LINE_LENGTH_PCK_H = 0x0342,
    LINE_LENGTH_PCK_L = 0x0343,
    READOUT_X = 0x0383,
    READOUT_Y = 0x0387,
    BINNING_MODE = 0x0390,
    BLC_TGT = 0x1003,
    BLC2_TGT = 0x1007,
    DPC_CTRL = 0x1008,
    AE_CTRL = 0x2100,
    MAX_INTG_H = 0x2105,
    MAX_INTG_L = 0x2106,
    QVGA_WIN_EN = 0x3010,
    BIT_CONTROL = 0x3059,
    OSC_CLK_DIV = 0x3060
};
enum { WARM = 8 /* periods that the loop must run before a line */ };
enum { STANDBY = 0, STREAMING = 1, BINNED = 3, UNBINNED = 1, EIGHT_BITS = 0x02, CORE_BY_8 = 0x08, BLACK = 8 };
enum { BINNED_COLUMNS = 162, BINNED_ROWS = 122, BINNED_LINES = 132 };
enum { FULL_COLUMNS = 324, FULL_ROWS = 244, FULL_LINES = 260 };

static struct {
    uint32_t codes; /* a row, as the sensor is set up; 0: not set up */
    uint32_t next;  /* line of the sensor's frame that comes next */
    uint32_t lines; /* of exposure; 0: the sensor decides */
} camera;

static int bus_address(uint32_t number)
{
    bus_start();
    return bus_send(BUS_ADDRESS << 1) != 0 || bus_send(number >> 8) != 0 || bus_send(number & 0xFFu) != 0;
}

static int write_register(uint32_t number, uint32_t value)
{
    const int refused = bus_address(number) != 0 || bus_send(value) != 0;
    bus_stop();
    return refused ? LG_CAMERA_NO_ANSWER : 0;
}

static int read_register(uint32_t number)
{
    int value = LG_CAMERA_NO_ANSWER;
    if (bus_address(number) == 0) {
        bus_start();
        if (bus_send(BUS_ADDRESS << 1 | READ) == 0) {
            value = (int)bus_receive_last();
        }
    }
    bus_stop();
    return value;
}

static uint32_t is_binned(uint32_t codes)
{
    return codes <= BINNED_COLUMNS && window_rows(codes) <= BINNED_ROWS;
}

static int set_up(uint32_t codes)
{
    const uint32_t binned = is_binned(codes);
    const uint32_t lines = binned ? BINNED_LINES : FULL_LINES, reading = binned ? BINNED : UNBINNED;
    const struct {
        uint16_t number, value;
    } table[] = {
        {SW_RESET, 0},
        {MODE_SELECT, STANDBY},
        {BLC_TGT, BLACK}, /* dark pixels read 8 */
        {BLC2_TGT, BLACK},
        {DPC_CTRL, 0},
        {READOUT_X, (uint16_t)reading},
        {READOUT_Y, (uint16_t)reading},
        {BINNING_MODE, binned ? 3 : 0}, /* add neighbours in both directions */
        {QVGA_WIN_EN, 1},
        {FRAME_LENGTH_LINES_H, (uint16_t)(lines >> 8)},
        {FRAME_LENGTH_LINES_L, (uint16_t)(lines & 0xFFu)},
        {LINE_LENGTH_PCK_H, (uint16_t)(HM01B0_LINE_PCK >> 8)},
        {LINE_LENGTH_PCK_L, (uint16_t)(HM01B0_LINE_PCK & 0xFFu)},
        {MAX_INTG_H, 0},
        {MAX_INTG_L, (uint16_t)(lines - 2u > 0xFFu ? 0xFFu : lines - 2u)},
        {AE_CTRL, camera.lines == 0u},
        {INTEGRATION_H, (uint16_t)(camera.lines >> 8)}, /* which the sensor's own control writes over */
        {INTEGRATION_L, (uint16_t)(camera.lines & 0xFFu)},
        {ANALOG_GAIN, 0},
        {DIGITAL_GAIN_H, 1},
        {DIGITAL_GAIN_L, 0},
        {BIT_CONTROL, EIGHT_BITS},
        {OSC_CLK_DIV, CORE_BY_8},
        {GRP_PARAM_HOLD, 1}, /* take all of it over */
        {MODE_SELECT, STREAMING},
    };
    camera.codes = 0u;
    camera_pins_start();
    const int high = read_register(MODEL_ID_H), low = read_register(MODEL_ID_L);
    if (high < 0 || low < 0) {
        return LG_CAMERA_NO_ANSWER;
    }
    if ((high << 8 | low) != MODEL_ID) {
        return LG_CAMERA_OTHER;
    }
    for (uint32_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const int status = write_register(table[i].number, table[i].value);
        if (status != 0) {
            return status;
        }
    }
    camera.codes = codes;
    return 0;
}

/* Poll until the pins under `mask` are `value`. 0 in time, else -1. */
static int wait_pins(uint32_t mask, uint32_t value)
{
    for (uint32_t polls = 0; polls < CAMERA_POLLS; polls++) {
        if ((camera_pins() & mask) == value) {
            return 0;
        }
    }
    return -1;
}

/* Let a line pass. */
static int skip_line(void)
{
    for (uint32_t polls = 0; polls < CAMERA_POLLS; polls++) {
        const uint32_t pins = camera_pins();
        if ((pins & CAMERA_VSYNC) == 0u) {
            return LG_CAMERA_NO_ROW;
        }
        if ((pins & CAMERA_HREF) != 0u) {
            camera.next++;
            return wait_pins(CAMERA_HREF, 0u) == 0 ? 0 : LG_CAMERA_NO_ROW;
        }
    }
    return LG_CAMERA_NO_ROW;
}

/* Take the next line. The pixel clock never rests: the loop runs, a turn a period, from well before the line begins, so
 * that all of it, the writing too, is in the cache of the flash by then. A code is there while the clock is high. What
 * lies left of the window goes to line[0] until the window's first code does. */
static int read_line(uint8_t *line, uint32_t skip, uint32_t codes)
{
    const int32_t end = (int32_t)codes;
    int32_t place = -(int32_t)skip;
    uint32_t inside = 0u, quiet = 0u;
    while (place < end) {
        uint32_t pins, polls = CAMERA_POLLS;
        do {
            pins = camera_pins();
        } while ((pins & CAMERA_PCLK) != 0u && --polls > 0u);
        do {
            pins = camera_pins();
        } while ((pins & CAMERA_PCLK) == 0u && --polls > 0u);
        const uint32_t href = (pins & CAMERA_HREF) != 0u;
        if ((pins & CAMERA_VSYNC) == 0u || href < inside || polls == 0u) {
            return LG_CAMERA_NO_ROW; /* the frame or the line ended, or the clock stands still */
        }
        line[place & ~(place >> 31)] = (uint8_t)(pins >> CAMERA_D0);
        place += (int32_t)href;
        quiet += 1u - href;
        inside = href;
        if (quiet == 65536u) {
            return LG_CAMERA_NO_ROW;
        }
    }
    camera.next++;
    (void)camera_line_began();
    return quiet < WARM ? LG_CAMERA_LATE : 0;
}

static int take_row(uint8_t *line, uint32_t row)
{
    const uint32_t codes = camera.codes, binned = is_binned(codes);
    const uint32_t columns = binned ? BINNED_COLUMNS : FULL_COLUMNS, rows = binned ? BINNED_ROWS : FULL_ROWS;
    const uint32_t wanted = (rows - window_rows(codes)) / 2u + row;
    if (row == 0u) {
        if (wait_pins(CAMERA_VSYNC, 0u) != 0 || wait_pins(CAMERA_VSYNC, CAMERA_VSYNC) != 0) {
            return LG_CAMERA_NO_FRAME;
        }
        camera.next = 0u;
    } else if (camera.next > wanted || camera_line_began() != 0) {
        return LG_CAMERA_LATE;
    } else if (wait_pins(CAMERA_HREF, 0u) != 0) {
        return LG_CAMERA_NO_ROW;
    }
    while (camera.next < wanted) {
        const int status = skip_line();
        if (status != 0) {
            return status;
        }
    }
    return read_line(line, (columns - codes) / 2u, codes);
}

int lg_board_camera_line(void *line, uint32_t codes, uint32_t row)
{
    if (codes == 0u || codes > FULL_COLUMNS || window_rows(codes) > FULL_ROWS) {
        return LG_CAMERA_SIZE;
    }
    if (codes != camera.codes) {
        const int status = row == 0u ? set_up(codes) : LG_CAMERA_LATE;
        if (status != 0) {
            return status;
        }
    }
    const int status = take_row(line, row);
    if (status != 0) {
        camera.next = UINT32_MAX; /* no later row of this frame */
    }
    return status;
}

/* The sensor is set up anew, so no frame is exposed half in the old way. */
int lg_board_camera_expose(uint32_t lines)
{
    camera.lines = lines;
    camera.codes = 0u;
    return 0;
}
