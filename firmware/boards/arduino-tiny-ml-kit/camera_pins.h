/* SPDX-License-Identifier: Apache-2.0 */
/* Where an OV7675 hangs on the Nano 33 BLE of the Tiny Machine Learning Kit (Arduino's list of the library OV767X and of the
 * board's pins; nRF52840 product specification: GPIO, GPIOTE, PPI, TIMER, I2S):
 *
 *   D0 pin 10 (P1.02)   D1 pin 1 (P1.03)   D2 pin 0 (P1.10)   D3 pin 2 (P1.11)
 *   D4 pin 3 (P1.12)    D5 pin 5 (P1.13)   D6 pin 6 (P1.14)   D7 pin 4 (P1.15)
 *   PCLK A0 (P0.04)   HREF A1 (P0.05)   VSYNC pin 8 (P0.21)   XCLK pin 9 (P0.27)   SDA A4 (P0.31)   SCL A5 (P0.02)
 *
 * XCLK is the 16 MHz master clock of I2S. Edges of HREF are counted without an interrupt: GPIOTE channel 0, PPI channel 0,
 * TIMER1. */
#ifndef CAMERA_PINS_H
#define CAMERA_PINS_H

#include "reg.h"

#define P0_BASE 0x50000000u
#define P1_BASE 0x50000300u
enum { GPIO_OUTSET = 0x508, GPIO_OUTCLR = 0x50C, GPIO_IN = 0x510, GPIO_PIN_CNF = 0x700 };
/* PIN_CNF: input; input with pull-up and output that only pulls low (S0D1); output of high drive (H0H1), no input */
enum { PIN_INPUT = 0, PIN_OPEN_DRAIN = 6 << 8 | 3 << 2 | 1, PIN_CLOCK = 3 << 8 | 1 << 1 | 1 };
#define GPIOTE_CONFIG0 0x40006510u
#define GPIOTE_EVENTS_IN0 0x40006100u
#define PPI_CHENSET 0x4001F504u
#define PPI_CH0_EEP 0x4001F510u
#define PPI_CH0_TEP 0x4001F514u
#define TIMER1_BASE 0x40009000u
enum { TIMER_START = 0x000, TIMER_COUNT = 0x008, TIMER_CLEAR = 0x00C, TIMER_CAPTURE0 = 0x040, TIMER_MODE = 0x504 };
enum { TIMER_CC0 = 0x540, TIMER_BITMODE = 0x508 };
#define I2S_BASE 0x40025000u
enum { I2S_START = 0x000, I2S_ENABLE = 0x500, I2S_TXEN = 0x50C, I2S_MCKEN = 0x510, I2S_MCKFREQ = 0x514 };
enum { I2S_PSEL_MCK = 0x560, I2S_PSEL_SCK = 0x564, I2S_PSEL_LRCK = 0x568 };
#define I2S_32MHZ_BY_2 ((uint32_t)1 << 31)
#define I2S_NO_PIN 0xFFFFFFFFu

enum { SDA_PIN = 31, SCL_PIN = 2, XCLK_PIN = 27, PCLK_PIN = 4, HREF_PIN = 5, VSYNC_PIN = 21 };
#define CAMERA_PCLK ((uint32_t)1 << PCLK_PIN)
#define CAMERA_HREF ((uint32_t)1 << HREF_PIN)
#define CAMERA_VSYNC ((uint32_t)1 << VSYNC_PIN)
#define CAMERA_POLLS 20000000u /* at least three seconds */

static inline void camera_delay(void)
{
    for (uint32_t i = 0; i < 150u; i++) { /* 6 us or more */
        __asm__ volatile("");
    }
}

static inline void camera_count_lines(void)
{
    *reg(TIMER1_BASE + TIMER_MODE) = 1u;    /* counter */
    *reg(TIMER1_BASE + TIMER_BITMODE) = 0u; /* of 16 bits */
    *reg(TIMER1_BASE + TIMER_START) = 1u;
    *reg(GPIOTE_CONFIG0) = 1u << 16 | (uint32_t)HREF_PIN << 8 | 1u; /* event, rising edge */
    *reg(PPI_CH0_EEP) = GPIOTE_EVENTS_IN0;
    *reg(PPI_CH0_TEP) = TIMER1_BASE + TIMER_COUNT;
    *reg(PPI_CHENSET) = 1u;
}

static inline void camera_pins_start(void)
{
    *reg(P0_BASE + GPIO_OUTSET) = (uint32_t)1 << SDA_PIN | (uint32_t)1 << SCL_PIN;
    *reg(P0_BASE + GPIO_PIN_CNF + 4u * SDA_PIN) = PIN_OPEN_DRAIN;
    *reg(P0_BASE + GPIO_PIN_CNF + 4u * SCL_PIN) = PIN_OPEN_DRAIN;
    *reg(P0_BASE + GPIO_PIN_CNF + 4u * XCLK_PIN) = PIN_CLOCK;
    *reg(P0_BASE + GPIO_PIN_CNF + 4u * PCLK_PIN) = PIN_INPUT;
    *reg(P0_BASE + GPIO_PIN_CNF + 4u * HREF_PIN) = PIN_INPUT;
    *reg(P0_BASE + GPIO_PIN_CNF + 4u * VSYNC_PIN) = PIN_INPUT;
    for (uint32_t pin = 2; pin <= 15u; pin = pin == 3u ? 10u : pin + 1u) {
        *reg(P1_BASE + GPIO_PIN_CNF + 4u * pin) = PIN_INPUT;
    }
    camera_count_lines();
    *reg(I2S_BASE + I2S_TXEN) = 0u; /* nothing is played: the clock alone */
    *reg(I2S_BASE + I2S_MCKFREQ) = I2S_32MHZ_BY_2;
    *reg(I2S_BASE + I2S_MCKEN) = 1u;
    *reg(I2S_BASE + I2S_PSEL_MCK) = XCLK_PIN;
    *reg(I2S_BASE + I2S_PSEL_SCK) = I2S_NO_PIN;
    *reg(I2S_BASE + I2S_PSEL_LRCK) = I2S_NO_PIN;
    *reg(I2S_BASE + I2S_ENABLE) = 1u;
    *reg(I2S_BASE + I2S_START) = 1u;
    for (uint32_t i = 0; i < 1000u; i++) {
        camera_delay(); /* the sensor wakes up */
    }
}

static inline void camera_bus_pin(uint32_t pin, int released)
{
    *reg(P0_BASE + (released ? GPIO_OUTSET : GPIO_OUTCLR)) = (uint32_t)1 << pin;
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
    return (int)(*reg(P0_BASE + GPIO_IN) >> SDA_PIN & 1u);
}

static inline uint32_t camera_pins(void)
{
    return *reg(P0_BASE + GPIO_IN);
}

/* D0..D7: bits 2, 3 and 10 to 15 of the port. */
static inline uint8_t camera_code(void)
{
    const uint32_t port = *reg(P1_BASE + GPIO_IN);
    return (uint8_t)((port >> 2 & 3u) | (port >> 8 & 0xFCu));
}

static inline void camera_lines_clear(void)
{
    *reg(TIMER1_BASE + TIMER_CLEAR) = 1u;
}

/* Rising edges of HREF since they were cleared. */
static inline uint32_t camera_lines(void)
{
    *reg(TIMER1_BASE + TIMER_CAPTURE0) = 1u;
    return *reg(TIMER1_BASE + TIMER_CC0);
}

#endif
