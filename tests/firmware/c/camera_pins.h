/* A simulated HM01B0 on simulated pins, in place of a board's: every look at the pins lets time pass. */
#ifndef CAMERA_PINS_H
#define CAMERA_PINS_H

#include <stdint.h>

enum { CAMERA_D0 = 6, CAMERA_PCLK = 1 << 14, CAMERA_HREF = 1 << 15, CAMERA_VSYNC = 1 << 16 };
#define CAMERA_POLLS 1500000u

void camera_delay(void);
void camera_pins_start(void);
void camera_sda(int released);
void camera_scl(int released);
int camera_sda_level(void);
uint32_t camera_pins(void);
int camera_line_began(void);

#endif
