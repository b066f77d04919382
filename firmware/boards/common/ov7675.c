/* SPDX-License-Identifier: Apache-2.0 */
/* lg_board_camera_line for an OmniVision OV7675 or OV7670: 8-bit RAW codes of a Bayer mosaic, 640x480, over its 8-bit
 * parallel port, read by polling. Registers are those of the data sheet's list (OV7670, device control registers), whose
 * names they bear.
 *
 * Window: as RAW the sensor sends all of its 640x480 codes and scales nothing, so photosites are left out here. Of 8x8 of
 * them the first 2x2 are taken for windows up to 160x120 codes, of 4x4 up to 320x240: quads of four neighbours stay whole,
 * no code is computed, and a window spans the same part of the picture as a binned one. It lies in the middle and begins
 * at a red photosite (RGGB): the array begins with a blue one, and the window at odd columns and lines.
 *
 * Time: the internal clock is XCLK / CLOCK_DIVIDER, 0.8 MHz of the 16 MHz that the board gives. A line is 784 codes of two
 * of its periods, 640 of them with HREF:
 *
 *   1568 / 0.8 MHz = 1.96 ms a line, 510 lines or 1.0 s a frame
 *
 * The pixel clock is the internal one, each code standing for two periods (so RAW has been measured), or half of it (so
 * the data sheet has it): PCLK is counted along a line once, and 1280 or 640 periods tell which. The faster one leaves 80
 * cycles a period at 64 MHz, 40 of them with the clock high. The loop below sees a rise within 10 cycles, has the code 4
 * later, and looks for the fall again 46 cycles after the rise: 24 instructions as GCC 12 has them, of which a look at a
 * port is taken for 4 cycles. With 8 it would be 58.
 *
 * The two lines of a quad follow each other, so both are read when the first is asked for, and the second one waits in
 * RAM. From its end to the next line that is taken lie 12.1 ms up to 160x120, 4.3 ms above: the program's time for the
 * work of two rows; whoever is late is told so (LG_CAMERA_LATE). HREF's edges are counted by the chip, so lines may
 * pass meanwhile.
 *
 * Gain is 1, always; exposure is 1 to 510 lines: the sensor's own, or fixed after lg_board_camera_expose. Gamma, lens, pixel
 * and edge correction, white balance and the banding filter are off: codes are linear. Row 0 sets the sensor up if it is
 * not yet, over its two-wire bus (address 0x21, register numbers and data of one byte), and lets the frames pass that
 * were exposed before. camera_pins.h of the board gives the pins. */
#include <string.h>

#include "camera_pins.h"
#include "camera_window.h"
#include "lg_board.h"
#include "two_wire.h"

enum { BUS_ADDRESS = 0x21, READ = 1, PRODUCT = 0x76, CLOCK_DIVIDER = 20 };
enum {
    GAIN = 0x00,
    VREF = 0x03,
    COM1 = 0x04,
    AECHH = 0x07,
    PID = 0x0A,
    COM3 = 0x0C,
    AECH = 0x10,
    CLKRC = 0x11,
    COM7 = 0x12,
    COM8 = 0x13,
    COM10 = 0x15,
    HSTART = 0x17,
    HSTOP = 0x18,
    VSTRT = 0x19,
    VSTOP = 0x1A,
    MVFP = 0x1E,
    EXHCH = 0x2A,
    EXHCL = 0x2B,
    HREF = 0x32,
    TSLB = 0x3A,
    COM11 = 0x3B,
    COM13 = 0x3D,
    COM14 = 0x3E,
    COM16 = 0x41,
    LCC5 = 0x66,
    GFIX = 0x69,
    DBLV = 0x6B,
    REG74 = 0x74,
    REG76 = 0x76
};
enum { RESET = 0x80, BAYER_RAW = 0x01, UNLIMITED_STEP = 0x40, FAST = 0x80, AEC = 0x01, KEEP_80 = 0x80, NO_PLL = 0x0A };
enum { COLUMNS = 640, LINES = 480, COARSE_STEP = 8, STEP = 4 /* from quad to quad */ };
enum { MOST_CODES = 320, MOST_ROWS = 240, COARSE_CODES = 160, COARSE_ROWS = 120 };
enum { FIRST_COLUMN = 136, FIRST_LINE = 12 /* of the array, as after a reset */ };
enum { WARM = 8 /* periods that the loop must run before a line */, SETTLING = 2 /* frames after a change */ };

static struct {
    uint32_t codes;   /* a row, as the sensor is set up; 0: not set up */
    uint32_t lines;   /* of exposure; 0: the sensor decides */
    uint32_t periods; /* of the pixel clock, a code */
    uint32_t begun;   /* 1: a frame has, and no row of it has failed */
    uint32_t held;    /* row in `second`; 0: none */
    uint8_t second[MOST_CODES];
} camera;

static int bus_address(uint32_t number)
{
    bus_start();
    return bus_send(BUS_ADDRESS << 1) != 0 || bus_send(number) != 0;
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
    const int refused = bus_address(number);
    bus_stop();
    if (refused == 0) {
        bus_start();
        if (bus_send(BUS_ADDRESS << 1 | READ) == 0) {
            value = (int)bus_receive_last();
        }
        bus_stop();
    }
    return value;
}

static int write_registers(void)
{
    enum { LAST_COLUMN = FIRST_COLUMN + COLUMNS, LAST_LINE = FIRST_LINE + LINES };
    const uint32_t lines = camera.lines, automatic = lines == 0u;
    const struct {
        uint8_t number, value;
    } table[] = {
        {CLKRC, KEEP_80 | (CLOCK_DIVIDER - 1)},
        {DBLV, NO_PLL},
        {COM7, BAYER_RAW},
        {COM3, 0}, /* nothing scaled, */
        {COM14, 0},
        {TSLB, 0x0C}, /* the window as it is set here, */
        {HSTART, FIRST_COLUMN >> 3},
        {HSTOP, LAST_COLUMN >> 3},
        {HREF, KEEP_80 | (LAST_COLUMN & 7) << 3 | (FIRST_COLUMN & 7)},
        {VSTRT, FIRST_LINE >> 2},
        {VSTOP, LAST_LINE >> 2},
        {VREF, (LAST_LINE & 3) << 2 | (FIRST_LINE & 3)}, /* gain 1: bits 7 and 6 */
        {MVFP, 0},                                       /* not mirrored, */
        {EXHCH, 0},
        {EXHCL, 0},    /* lines of the usual length */
        {COM10, 0},    /* PCLK never rests, a code is there at its rise; HREF and VSYNC are high */
        {COM11, 0},    /* the frame rate stays, */
        {COM13, 0x08}, /* no gamma, */
        {COM16, 0},    /* no white balance, nothing sharpened or smoothed, */
        {LCC5, 0},     /* no lens correction, */
        {REG76, 0x01}, /* no photosite replaced by its neighbours, */
        {GFIX, 0},     /* every colour's own gain 1, */
        {REG74, 0},
        {GAIN, 0}, /* everybody's too */
        {COM8, (uint8_t)(FAST | UNLIMITED_STEP | (automatic ? AEC : 0))},
        {AECHH, (uint8_t)(lines >> 10)},
        {AECH, (uint8_t)(lines >> 2)},
        {COM1, (uint8_t)(lines & 3u)},
    };
    for (uint32_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (automatic && (table[i].number == AECHH || table[i].number == AECH || table[i].number == COM1)) {
            continue;
        }
        const int status = write_register(table[i].number, table[i].value);
        if (status != 0) {
            return status;
        }
    }
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

/* From before a frame's first line on its lines are counted. */
static int wait_frame(void)
{
    if (wait_pins(CAMERA_VSYNC, CAMERA_VSYNC) != 0) {
        return LG_CAMERA_NO_FRAME;
    }
    camera_lines_clear();
    return wait_pins(CAMERA_VSYNC, 0u) == 0 ? 0 : LG_CAMERA_NO_FRAME;
}

/* Until `wanted` lines have passed and the next one has not begun. */
static int wait_line(uint32_t wanted)
{
    if (camera_lines() > wanted) {
        return LG_CAMERA_LATE;
    }
    for (uint32_t polls = 0; polls < CAMERA_POLLS; polls++) {
        const uint32_t pins = camera_pins();
        if ((pins & CAMERA_VSYNC) != 0u) {
            return LG_CAMERA_NO_ROW;
        }
        if (camera_lines() == wanted && (pins & CAMERA_HREF) == 0u) {
            return 0;
        }
    }
    return LG_CAMERA_NO_ROW;
}

/* How many periods of PCLK a code of the next line takes. */
static int count_periods(void)
{
    uint32_t periods = 0u;
    if (wait_pins(CAMERA_HREF, 0u) != 0 || wait_pins(CAMERA_HREF, CAMERA_HREF) != 0) {
        return LG_CAMERA_NO_ROW;
    }
    for (uint32_t before = CAMERA_PCLK, polls = 0;; polls++) {
        const uint32_t pins = camera_pins(), clock = pins & CAMERA_PCLK;
        if ((pins & CAMERA_HREF) == 0u) {
            break;
        }
        if (polls == CAMERA_POLLS) {
            return LG_CAMERA_NO_ROW;
        }
        periods += clock > before;
        before = clock;
    }
    camera.periods = periods > 3 * COLUMNS / 2 ? 2u : 1u;
    return periods >= COLUMNS - WARM ? 0 : LG_CAMERA_NO_ROW;
}

static int set_up(uint32_t codes)
{
    camera.codes = 0u;
    camera_pins_start();
    const int product = read_register(PID);
    if (product != PRODUCT) {
        return product < 0 ? LG_CAMERA_NO_ANSWER : LG_CAMERA_OTHER;
    }
    int status = write_register(COM7, RESET);
    for (uint32_t i = 0; i < 1000u; i++) {
        camera_delay(); /* a reset takes a millisecond */
    }
    status = status != 0 ? status : write_registers();
    for (uint32_t frame = 0; status == 0 && frame < SETTLING; frame++) {
        status = wait_frame();
    }
    status = status != 0 ? status : count_periods();
    camera.codes = status == 0 ? codes : 0u;
    return status;
}

/* Take the next line. The pixel clock never rests: the loop runs, a turn a period, from well before the line begins, so
 * that all of it, the writing too, is in the cache of the flash by then. A code is there while the clock is high. What is
 * left out goes where the next code of the window does. */
static int read_line(uint8_t *line, uint32_t codes, uint32_t step, uint32_t skip)
{
    const uint32_t periods = camera.periods;
    const uint32_t taken = periods == 2u ? 10u : 3u; /* of a step's periods: the last of each of its first two codes */
    const uint32_t within = step * periods - 1u;
    const uint8_t *const end = line + codes;
    int32_t place = -(int32_t)(skip * periods);
    uint32_t inside = 0u, quiet = 0u, polls = CAMERA_POLLS;
    while (line < end) {
        uint32_t pins;
        do {
            pins = camera_pins();
        } while ((pins & CAMERA_PCLK) != 0u && --polls > 0u);
        do {
            pins = camera_pins();
        } while ((pins & CAMERA_PCLK) == 0u && --polls > 0u);
        *line = camera_code();
        const uint32_t href = (pins & CAMERA_HREF) != 0u;
        if ((pins & CAMERA_VSYNC) != 0u || href < inside || polls == 0u) {
            return LG_CAMERA_NO_ROW; /* the frame or the line ended, or the clock stands still */
        }
        line += href & (taken >> ((uint32_t)place & within)) & ~((uint32_t)place >> 31);
        place += (int32_t)href;
        quiet += 1u - href;
        inside = href;
    }
    return quiet < WARM ? LG_CAMERA_LATE : 0;
}

static int take_line(uint8_t *line, uint32_t wanted, uint32_t step)
{
    const uint32_t span = (camera.codes + 1u) / 2u * step;
    int status = wait_line(wanted);
    if (status == 0) {
        status = read_line(line, camera.codes, step, (COLUMNS - span) / 2u | 1u);
    }
    return status == 0 && camera_lines() != wanted + 1u ? LG_CAMERA_LATE : status;
}

static int take_row(uint8_t *line, uint32_t row)
{
    const uint32_t codes = camera.codes, rows = window_rows(codes);
    const uint32_t step = codes <= COARSE_CODES && rows <= COARSE_ROWS ? COARSE_STEP : STEP;
    const uint32_t first = (LINES - (rows + 1u) / 2u * step) / 2u | 1u;
    const uint32_t wanted = first + row / 2u * step + (row & 1u);
    int status = 0;
    if (row == 0u) {
        camera.held = 0u;
        status = wait_frame();
    } else if (camera.begun == 0u) {
        return LG_CAMERA_LATE;
    } else if (row == camera.held) {
        memcpy(line, camera.second, codes);
        camera.held = 0u;
        return 0;
    }
    camera.held = 0u;
    if (status == 0) {
        status = take_line(line, wanted, step);
    }
    if (status == 0 && (row & 1u) == 0u) {
        status = take_line(camera.second, wanted + 1u, step);
        camera.held = row + 1u;
    }
    camera.begun = status == 0;
    return status;
}

int lg_board_camera_line(void *line, uint32_t codes, uint32_t row)
{
    if (codes == 0u || codes > MOST_CODES || window_rows(codes) > MOST_ROWS) {
        return LG_CAMERA_SIZE;
    }
    if (codes != camera.codes) {
        camera.begun = 0u;
        const int status = row == 0u ? set_up(codes) : LG_CAMERA_LATE;
        if (status != 0) {
            return status;
        }
    }
    return take_row(line, row);
}

/* The sensor is set up anew, so no frame is exposed half in the old way. */
int lg_board_camera_expose(uint32_t lines)
{
    camera.lines = lines;
    camera.codes = 0u;
    return 0;
}
