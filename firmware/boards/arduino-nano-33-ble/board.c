/* SPDX-License-Identifier: Apache-2.0 */
/* Arduino Nano 33 BLE: nRF52840 behind a boot loader of 64 KB. Pins TX (P1.03) and RX (P1.10), 3.3 V: its USB socket is the
 * chip's own and carries no UART. */
enum { TX = 32 + 3, RX = 32 + 10 };
#include "nrf52840.h"
