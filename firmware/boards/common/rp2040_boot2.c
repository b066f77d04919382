/* SPDX-License-Identifier: Apache-2.0 */
/* The first 256 bytes of an image for the RP2040: rp2040_boot2.s as words, and in the last one the CRC-32 (polynomial
 * 0x04C11DB7, start 0xFFFFFFFF, not reflected) of the 252 bytes before it, without which the boot ROM refuses it. */
#include <stdint.h>

enum { WORDS = 64, CRC = WORDS - 1 };

extern const uint32_t lg_boot2[WORDS];
const uint32_t lg_boot2[WORDS] __attribute__((section(".boot2"), used)) = {
    0x20004B0Au, 0x20046098u, 0x48096158u, 0x49096018u, 0x60084809u, 0x60582000u,
    0x60982001u, 0x49084807u, 0x68016008u, 0xF3816842u, 0x47108808u, 0x18000000u,
    0x001F0300u, 0x180000F4u, 0x03000218u, 0x10000100u, 0xE000ED08u, [CRC] = 0x55FE4BB1u,
};
