/* SPDX-License-Identifier: Apache-2.0 */
/* The computer itself with a simulated camera (scene_camera.c). */
#include "lg_board.h"

void lg_board_init(void)
{
}

uint32_t lg_board_ticks(void)
{
    return 0u;
}
