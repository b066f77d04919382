/* SPDX-License-Identifier: Apache-2.0 */
/* An STM32F4 (RM0090, RM0390: GPIO, IWDG; SysTick of the core): the pin is PA5, the green LED of a NUCLEO-F446RE, high
 * while the newest class is PIN_CLASS. The independent watchdog runs from the 32 kHz oscillator and cannot be stopped.
 * Untried on hardware; in QEMU, which has neither the pin nor the watchdog, it runs. */
#include "port.h"

#include <string.h>

#include "frame.h"
#include "stm32f4.h"

#define SYSTICK 0xE000E010u
#define IWDG 0x40003000u
enum { CSR = 0x00, RVR = 0x04, CVR = 0x08 };              /* of SYSTICK */
enum { KR = 0x00, PR = 0x04, RLR = 0x08 };                /* of IWDG */
enum { START = 0xCCCC, WRITE = 0x5555, RELOAD = 0xAAAA }; /* to KR */
enum { BY_64 = 4, TWO_SECONDS = 1000 };                   /* to PR and RLR: 2 ms a count */
enum { GPIO_BSRR = 0x18, PIN = 5, OUTPUT = 1, PIN_CLASS = 1 };
enum { SLOW_MHZ = 16, FAST_MHZ = 168 };

void lg_systick(void); /* of the vector table */

static volatile uint32_t due; /* rows that are due and not taken */

void lg_systick(void)
{
    due++;
}

void port_start(void)
{
    stm32f4_clock_start();
    stm32f4_enable(RCC_AHB1ENR, 1u); /* GPIOA */
    *reg(GPIOA + GPIO_MODER) = (*reg(GPIOA + GPIO_MODER) & ~(3u << (2u * PIN))) | (uint32_t)OUTPUT << (2u * PIN);
    *reg(SYSTICK + RVR) = (stm32f4_is_fast() ? FAST_MHZ : SLOW_MHZ) * 1000u * PORT_ROW_MS - 1u;
    *reg(SYSTICK + CVR) = 0u;
    *reg(SYSTICK + CSR) = 7u; /* on, with its exception, by the clock of the core */
    *reg(IWDG + KR) = START;
    *reg(IWDG + KR) = WRITE;
    *reg(IWDG + PR) = BY_64;
    *reg(IWDG + RLR) = TWO_SECONDS;
    port_alive();
}

/* With exceptions masked WFI still ends when one is pending: none comes between the look and the sleep. */
void port_sleep(void)
{
    __asm__ volatile("cpsid i" ::: "memory");
    while (due == 0u) {
        __asm__ volatile("wfi\n\tcpsie i\n\tisb\n\tcpsid i" ::: "memory");
    }
    due = 0u; /* rows that came while the program worked are lost, as a camera's would be */
    __asm__ volatile("cpsie i" ::: "memory");
}

void port_row(net_code *row, uint32_t y)
{
    memcpy(row, frame + y * NET_ROW_CODES, NET_ROW_CODES * sizeof *row);
}

void port_alive(void)
{
    *reg(IWDG + KR) = RELOAD;
}

void port_show(int32_t found)
{
    *reg(GPIOA + GPIO_BSRR) = found == PIN_CLASS ? 1u << PIN : (uint32_t)1 << (PIN + 16);
}

#ifdef NET_CELL_ROWS
void port_object(const lg_object *object)
{
    (void)object; /* whether there is any is what the pin says */
}
#endif
