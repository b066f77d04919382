/* SPDX-License-Identifier: Apache-2.0 */
/* Where an HM01B0 hangs on the Pico (RP2040 data sheet: SIO, GPIO, Clocks):
 *
 *   D0..D7 GP6..GP13, PCLK GP14, HREF (LVLD) GP15, VSYNC (FVLD) GP16, SDA GP4, SCL GP5, MCLK GP21, 3V3, GND
 *
 * GP21 carries the crystal's 12 MHz to the sensor. Edges of HREF are latched by the GPIO block, without an
 * interrupt. */
#ifndef CAMERA_PINS_H
#define CAMERA_PINS_H

#include "reg.h"

#define SIO 0xD0000000u
enum { GPIO_IN = 0x04, GPIO_OUT_CLR = 0x18, GPIO_OE_SET = 0x24, GPIO_OE_CLR = 0x28 };
#define IO_BANK0_CTRL(pin) (0x40014000u + 8u * (pin) + 4u)
#define IO_BANK0_INTR1 0x400140F4u
#define PADS_BANK0_GPIO(pin) (0x4001C004u + 4u * (pin))
#define CLK_GPOUT0_CTRL 0x40008000u
#define HREF_ROSE ((uint32_t)1 << 31) /* in INTR1: GPIO15, rising edge */

enum { SDA_PIN = 4, SCL_PIN = 5, MCLK_PIN = 21, FUNCTION_SIO = 5, FUNCTION_CLOCK = 8 };
enum { CAMERA_D0 = 6, CAMERA_PCLK = 1 << 14, CAMERA_HREF = 1 << 15, CAMERA_VSYNC = 1 << 16 };
#define CAMERA_POLLS 50000000u /* at least four seconds */

static inline void camera_delay(void)
{
    for (uint32_t i = 0; i < 250u; i++) { /* 6 us or more */
        __asm__ volatile("");
    }
}

static inline void camera_pins_start(void)
{
    *reg(IO_BANK0_CTRL(MCLK_PIN)) = FUNCTION_CLOCK;
    *reg(CLK_GPOUT0_CTRL) = 1u << 11 | 5u << 5; /* enabled, crystal */
    *reg(SIO + GPIO_OUT_CLR) = 1u << SDA_PIN | 1u << SCL_PIN;
    for (uint32_t pin = SDA_PIN; pin <= 16u; pin++) {
        *reg(SIO + GPIO_OE_CLR) = (uint32_t)1 << pin;
        *reg(PADS_BANK0_GPIO(pin)) = pin <= SCL_PIN ? 0x5Au : 0x52u; /* input with hysteresis; bus pulled up */
        *reg(IO_BANK0_CTRL(pin)) = FUNCTION_SIO;
    }
    for (uint32_t i = 0; i < 1000u; i++) {
        camera_delay(); /* the sensor wakes up */
    }
}

static inline void camera_bus_pin(uint32_t pin, int released)
{
    *reg(SIO + (released ? GPIO_OE_CLR : GPIO_OE_SET)) = (uint32_t)1 << pin;
}

static inline void camera_sda(int released)
{
    camera_bus_pin(SDA_PIN, released);
}

static inline void camera_scl(int released)
{
    camera_bus_pin(SCL_PIN, released);
}

static inline int camera_sda_level(void)
{
    return (int)(*reg(SIO + GPIO_IN) >> SDA_PIN & 1u);
}

static inline uint32_t camera_pins(void)
{
    return *reg(SIO + GPIO_IN);
}

/* Has HREF risen since the last call? */
static inline int camera_line_began(void)
{
    const uint32_t rose = *reg(IO_BANK0_INTR1) & HREF_ROSE;
    *reg(IO_BANK0_INTR1) = HREF_ROSE;
    return rose != 0u;
}

#endif
