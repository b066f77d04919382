/* SPDX-License-Identifier: Apache-2.0 */
/* A computer: there is no pin, so the class is printed; the watchdog is content; three frames are enough. */
#include "port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

enum { FRAMES = 3 };

void port_start(void)
{
}

void port_sleep(void)
{
}

void port_row(net_code *row, uint32_t y)
{
    memcpy(row, frame + y * NET_ROW_CODES, NET_ROW_CODES * sizeof *row);
}

void port_alive(void)
{
}

void port_show(int32_t found)
{
    static int shown;
    printf("class %d\n", (int)found);
    if (++shown == FRAMES) {
        exit(EXIT_SUCCESS);
    }
}
