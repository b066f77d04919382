/* SPDX-License-Identifier: Apache-2.0 */
/* Arduino Tiny Machine Learning Kit: a Nano 33 BLE (Sense) and an OV7675 on its shield. The camera takes the pins TX and
 * RX of the Nano, so the serial line is on A6 (P0.28, out) and A7 (P0.03, in), 3.3 V. */
enum { TX = 28, RX = 3 };
#include "nrf52840.h"
