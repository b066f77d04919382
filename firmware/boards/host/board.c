/* SPDX-License-Identifier: Apache-2.0 */
/* The computer itself: the host channel is standard input and output, and there is no counter. */
#include <stdio.h>
#include <stdlib.h>

#include "lg_board.h"

void lg_board_init(void)
{
}

size_t lg_board_read(void *data, size_t size)
{
    return fread(data, 1, size, stdin);
}

size_t lg_board_write(const void *data, size_t size)
{
    const size_t written = fwrite(data, 1, size, stdout);
    return fflush(stdout) == 0 ? written : 0u;
}

uint32_t lg_board_ticks(void)
{
    return 0u;
}

void lg_board_exit(int code)
{
    exit(code);
}
