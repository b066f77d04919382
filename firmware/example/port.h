/* SPDX-License-Identifier: Apache-2.0 */
/* What main.c needs of a chip. port_host.c is a computer, port_stm32f4.c an STM32F4. */
#ifndef PORT_H
#define PORT_H

#include <stdint.h>

#include "net.h"

enum { PORT_ROW_MS = 8 }; /* from one row of the camera to the next */

/* Clocks, the pin, the pace of rows, and the watchdog, which wants to hear of the program from then on. */
void port_start(void);

/* Asleep until the next row is due. */
void port_sleep(void);

/* Row `y` of the frame, as the camera sends it. */
void port_row(net_code *row, uint32_t y);

/* To the watchdog. */
void port_alive(void);

/* The class of the newest frame; of a detector 1 if there is an object, else 0. */
void port_show(int32_t found);

#ifdef NET_CELL_ROWS
/* An object of the newest frame. */
void port_object(const lg_object *object);
#endif

#endif
