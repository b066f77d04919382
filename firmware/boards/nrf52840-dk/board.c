/* SPDX-License-Identifier: Apache-2.0 */
/* nRF52840 DK: P0.06 and P0.08 go to the debugger's virtual serial port. */
enum { TX = 6, RX = 8 };
#include "nrf52840.h"
