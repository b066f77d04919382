/* SPDX-License-Identifier: Apache-2.0 */
/* A camera's two-wire bus (SCCB, I2C), made of two pins that are pulled low (0) or let go (1): camera_pins.h of the board,
 * included before, gives them. A line changes while the clock is low, except at start and stop. */
#ifndef TWO_WIRE_H
#define TWO_WIRE_H

static void bus_start(void)
{
    camera_sda(1);
    camera_scl(1);
    camera_delay();
    camera_sda(0);
    camera_delay();
    camera_scl(0);
    camera_delay();
}

static void bus_stop(void)
{
    camera_sda(0);
    camera_delay();
    camera_scl(1);
    camera_delay();
    camera_sda(1);
    camera_delay();
}

static int bus_bit(int bit)
{
    camera_sda(bit);
    camera_delay();
    camera_scl(1);
    camera_delay();
    const int seen = camera_sda_level();
    camera_scl(0);
    camera_delay();
    return seen;
}

/* 0: acknowledged. */
static int bus_send(uint32_t byte)
{
    for (uint32_t mask = 0x80u; mask != 0u; mask >>= 1) {
        (void)bus_bit((byte & mask) != 0u);
    }
    return bus_bit(1);
}

static uint32_t bus_receive_last(void)
{
    uint32_t byte = 0;
    for (int i = 0; i < 8; i++) {
        byte = byte << 1 | (uint32_t)bus_bit(1);
    }
    (void)bus_bit(1); /* no acknowledge: enough */
    return byte;
}

#endif
