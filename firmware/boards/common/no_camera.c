/* SPDX-License-Identifier: Apache-2.0 */
/* lg_board_camera_line and lg_board_camera_expose of a board without a camera. */
#include "lg_board.h"

int lg_board_camera_line(void *line, uint32_t codes, uint32_t row)
{
    (void)line;
    (void)codes;
    (void)row;
    return LG_CAMERA_NONE;
}

int lg_board_camera_expose(uint32_t lines)
{
    (void)lines;
    return LG_CAMERA_NONE;
}
