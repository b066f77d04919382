/* A simulated OV7675 on simulated pins, in place of a board's: every look at the pins lets time pass. */
#ifndef CAMERA_PINS_H
#define CAMERA_PINS_H

#include <stdint.h>

enum { CAMERA_PCLK = 1 << 4, CAMERA_HREF = 1 << 5, CAMERA_VSYNC = 1 << 21 };
#define CAMERA_POLLS 6000000u

void camera_delay(void);
void camera_pins_start(void);
void camera_sda(int released);
void camera_scl(int released);
int camera_sda_level(void);
uint32_t camera_pins(void);
uint8_t camera_code(void);
void camera_lines_clear(void);
uint32_t camera_lines(void);

#endif
