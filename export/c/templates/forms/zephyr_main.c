/* SPDX-License-Identifier: Apache-2.0 */
/* The test frame of frame.h, classified in steps that are bounded: what TFLite makes of it must come out. In place of
 * it, hand the rows of your camera to net_feed_row. */
#include <string.h>
#include <zephyr/kernel.h>

#include "net.h"

#include "frame.h"

static net_state net;

static lg_status classify(void)
{
    lg_status status = net_begin(&net);
    for (uint32_t y = 0; y < NET_ROWS && status >= LG_OK; y++) {
        status = net_feed_row(&net, frame + y * NET_ROW_CODES, NET_ROW_CODES);
        while (status == LG_WORK) {
            status = net_step(&net);
            k_yield();
        }
    }
    return status;
}

/* The class, or each object of a detector and how many there are. */
static void print_answer(void)
{
#ifdef NET_CELL_ROWS
    uint32_t place = 0u;
    int found = 0;
    lg_object object;
    while (net_next_object(&net, &place, &object) == 1) {
        printk("%s in column %d, row %d\n", net_class_names[object.label], object.column, object.row);
        found++;
    }
    printk("objects %d", found);
#else
    const int32_t found = net_class(&net);
#if NET_CLASSES > 0
    printk("class %d %s", (int)found, net_class_names[found]);
#else
    printk("class %d", (int)found);
#endif
#endif
}

int main(void)
{
    const int8_t *scores = NULL;
    lg_status status = net_init(&net, sizeof net, NET_MODEL_SHA256, NULL);
    if (status == LG_OK) {
        status = classify();
    }
    if (status == LG_OK) {
        status = net_scores(&net, &scores);
    }
    if (status != LG_OK) {
        printk("net: status %d\n", (int)status);
        return 0;
    }
    print_answer();
    printk(", %s\n", memcmp(scores, frame_scores, NET_OUTPUTS) == 0 ? "as TFLite has it" : "NOT what TFLite has");
    return 0;
}
