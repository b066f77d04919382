/* SPDX-License-Identifier: Apache-2.0 */
@ The second boot stage of the RP2040: plain serial reads (command 03h, 24-bit address, one data line, system clock / 4)
@ through the SSI, so that flash lies readable at 0x10000000. The boot ROM runs it from RAM; it goes on with the
@ program's vector table at 0x10000100. Data sheet: Bootrom (boot sequence), SSI. rp2040_boot2.c holds it as words.
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .text
    ldr r3, =0x18000000         @ XIP_SSI
    movs r0, #0
    str r0, [r3, #0x08]         @ SSIENR: off while it is set up
    movs r0, #4
    str r0, [r3, #0x14]         @ BAUDR
    ldr r0, =0x001F0300         @ CTRLR0: one line, frames of 32 bits, send then receive
    str r0, [r3, #0x00]
    ldr r1, =0x180000F4
    ldr r0, =0x03000218         @ SPI_CTRLR0: command 03h, 8 bits; 24 bits of address; both on one line
    str r0, [r1]
    movs r0, #0
    str r0, [r3, #0x04]         @ CTRLR1: one frame a read
    movs r0, #1
    str r0, [r3, #0x08]         @ SSIENR: on
    ldr r0, =0x10000100
    ldr r1, =0xE000ED08         @ VTOR
    str r0, [r1]
    ldr r1, [r0, #0]
    ldr r2, [r0, #4]
    msr msp, r1
    bx r2
    .ltorg
