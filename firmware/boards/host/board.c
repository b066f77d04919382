/* SPDX-License-Identifier: Apache-2.0 */
/* The computer itself: the host channel is standard input and output (stdio_channel.c), and there is no counter. */
#include "lg_board.h"

void lg_board_init(void)
{
}

uint32_t lg_board_ticks(void)
{
    return 0u;
}
