#ifndef HOST_CHANNEL_H
#define HOST_CHANNEL_H

/* Open the console for reading and writing; before the first lg_board_read or lg_board_write. */
void host_channel_open(void);

#endif
