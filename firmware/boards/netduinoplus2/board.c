/* Netduino Plus 2: TIM2 of the STM32F405, 32 bits, as the counter. */
#include "host_channel.h"
#include "lg_board.h"

#define RCC_APB1ENR 0x40023840u
#define TIM2 0x40000000u
enum { CR1 = 0x00, EGR = 0x14, CNT = 0x24, PSC = 0x28, ARR = 0x2C };

static volatile uint32_t *word(uintptr_t address)
{
    return (volatile uint32_t *)address;
}

void lg_board_init(void)
{
    host_channel_open();
    *word(RCC_APB1ENR) |= 1u;
    (void)*word(RCC_APB1ENR); /* STM32F405 erratum: the clock arrives two cycles late; reading back waits for it */
    *word(TIM2 + PSC) = 255u;
    *word(TIM2 + ARR) = 0xFFFFFFFFu;
    *word(TIM2 + EGR) = 1u;
    *word(TIM2 + CR1) = 1u;
}

uint32_t lg_board_ticks(void)
{
    return *word(TIM2 + CNT);
}
