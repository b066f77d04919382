/* SPDX-License-Identifier: Apache-2.0 */
/* Vector table and reset of every Cortex-M. A fault, or any other exception of the core that nobody asked for, ends
 * the program with exit code EXCEPTION + exception number (67 hard fault, 68 memory, 69 bus, 70 usage fault).
 * The table ends with the core's own exceptions: nothing here enables an interrupt of the chip, and a program that
 * does must bring a longer table. */
#include <stdint.h>

#include "lg_board.h"

extern uint32_t lg_data_load[], lg_data_start[], lg_data_end[], lg_bss_start[], lg_bss_end[], lg_stack_top[];

enum { EXCEPTION = 64 }; /* of the exit code */

typedef union {
    void (*handler)(void);
    uint32_t *stack;
} vector;

extern const vector lg_vectors[16];

int main(void);
void lg_reset(void);
void lg_start(void) __attribute__((noreturn, used));
void lg_exception_exit(uint32_t exception) __attribute__((noreturn, used));
void lg_unexpected(void);
void lg_systick(void);

void lg_exception_exit(uint32_t exception)
{
    lg_board_exit(EXCEPTION + (int)(exception & 0x3Fu));
}

/* The stack pointer may lie outside RAM (a stack overflow is one way to come here), so the stack starts afresh. */
void __attribute__((naked)) lg_unexpected(void)
{
    __asm__ volatile("mrs r0, ipsr\n\t"
                     "ldr r1, =lg_stack_top\n\t"
                     "msr msp, r1\n\t"
                     "ldr r1, =lg_exception_exit\n\t"
                     "bx r1\n\t"
                     ".ltorg");
}

/* A board that uses the SysTick exception defines lg_systick. */
void lg_systick(void) __attribute__((weak, alias("lg_unexpected")));

void lg_start(void)
{
#ifndef __ARM_ARCH_6M__
    *(volatile uint32_t *)0xE000ED08u = (uint32_t)(uintptr_t)lg_vectors; /* VTOR: a boot loader has its own */
#endif
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: coprocessors 10 and 11, FPU and MVE */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    const uint32_t *from = lg_data_load;
    for (uint32_t *to = lg_data_start; to < lg_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = lg_bss_start; to < lg_bss_end; to++) {
        *to = 0u;
    }
    lg_board_exit(main());
}

/* A debugger or a boot loader may come here with its own stack pointer. */
void __attribute__((naked)) lg_reset(void)
{
    __asm__ volatile("ldr r0, =lg_stack_top\n\t"
                     "msr msp, r0\n\t"
                     "ldr r0, =lg_start\n\t"
                     "bx r0\n\t"
                     ".ltorg");
}

const vector lg_vectors[16] __attribute__((section(".vectors"), used)) = {
    {.stack = lg_stack_top},    {.handler = lg_reset},      {.handler = lg_unexpected}, {.handler = lg_unexpected},
    {.handler = lg_unexpected}, {.handler = lg_unexpected}, {.handler = lg_unexpected}, {.handler = lg_unexpected},
    {.handler = lg_unexpected}, {.handler = lg_unexpected}, {.handler = lg_unexpected}, {.handler = lg_unexpected},
    {.handler = lg_unexpected}, {.handler = lg_unexpected}, {.handler = lg_unexpected}, {.handler = lg_systick},
};
