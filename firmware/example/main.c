/* SPDX-License-Identifier: Apache-2.0 */
/* A program of its own round the network, without a host: asleep between rows of the camera, a watchdog that is told
 * often enough, and the answer on a pin. What differs from chip to chip is port.h; the frame is that of frame.h until
 * port_row reads a camera. Copy this folder and go on from here: nothing else depends on it. */
#include "net.h"
#include "port.h"

static net_state net;
static net_code row[NET_ROW_CODES];

/* The work of a row in steps, each of which ends long before the watchdog bites. */
static lg_status take(uint32_t y)
{
    port_row(row, y);
    lg_status status = net_feed_row(&net, row, NET_ROW_CODES);
    while (status == LG_WORK) {
        port_alive();
        status = net_step(&net);
    }
    return status;
}

/* The class; of a detector whether there is an object. Those of a row are known as soon as the row below it is
 * complete, so this may also be asked after every row, with `place` kept from one to the next. */
static int32_t answer(void)
{
#ifdef NET_CELL_ROWS
    uint32_t place = 0u;
    int32_t found = 0;
    lg_object object;
    while (net_next_object(&net, &place, &object) == 1) {
        port_object(&object);
        found = 1;
    }
    return found;
#else
    return net_class(&net);
#endif
}

int main(void)
{
    lg_status status = net_init(&net, sizeof net, NET_MODEL_SHA256, NULL);
    port_start();
    while (status >= LG_OK) {
        status = net_begin(&net);
        for (uint32_t y = 0; y < NET_ROWS && status >= LG_OK; y++) {
            port_sleep();
            port_alive();
            status = take(y);
        }
        if (status == LG_OK) {
            port_show(answer());
        }
    }
    return 1; /* nobody tells the watchdog: it starts the program afresh */
}
