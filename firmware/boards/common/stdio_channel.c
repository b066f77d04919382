/* SPDX-License-Identifier: Apache-2.0 */
/* lg_board_read, lg_board_write and lg_board_exit of the computer itself: standard input and output. */
#include <stdio.h>
#include <stdlib.h>

#include "lg_board.h"

size_t lg_board_read(void *data, size_t size)
{
    return fread(data, 1, size, stdin);
}

size_t lg_board_write(const void *data, size_t size)
{
    const size_t written = fwrite(data, 1, size, stdout);
    return fflush(stdout) == 0 ? written : 0u;
}

void lg_board_exit(int code)
{
    exit(code);
}
