/* SPDX-License-Identifier: Apache-2.0 */
/* The program of main.c with threads, on FreeRTOS: one takes rows from the camera when they are due, one of lower
 * priority classifies and tells the watchdog, and whatever else the program does lies between or above. Compile it in
 * place of main.c, with the kernel. The kernel has SysTick and the vector table, and sleeps in its idle task: a port's
 * port_start leaves SysTick alone then, and nobody calls its port_sleep. */
#include <FreeRTOS.h>
#include <queue.h>
#include <task.h>

#include "net.h"
#include "port.h"

#ifndef NET_STACK_BYTES
#define NET_STACK_BYTES 4096u /* not known of a computer */
#endif
enum { ROWS_AHEAD = 2, OWN_BYTES = 512 }; /* OWN_BYTES: what a thread needs beside the network */
enum { CAMERA_PRIORITY = 3, CLASSIFY_PRIORITY = 1 };

typedef struct {
    uint32_t y;
    net_code codes[NET_ROW_CODES];
} line;

static net_state net;
static QueueHandle_t lines;

/* A row that finds no place is lost, as a camera's would be, and its frame with it. */
static void camera(void *unused)
{
    static line next;
    TickType_t due = xTaskGetTickCount();
    (void)unused;
    for (;;) {
        vTaskDelayUntil(&due, pdMS_TO_TICKS(PORT_ROW_MS));
        port_row(next.codes, next.y);
        (void)xQueueSend(lines, &next, 0);
        next.y = next.y + 1u == NET_ROWS ? 0u : next.y + 1u;
    }
}

/* The work of a row in steps; every thread of higher priority comes between them, and in them. */
static lg_status take(const line *row)
{
    lg_status status = net_feed_row(&net, row->codes, NET_ROW_CODES);
    while (status == LG_WORK) {
        port_alive();
        status = net_step(&net);
    }
    return status;
}

/* The class; of a detector whether there is an object. */
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

static void classify(void *unused)
{
    static line row;
    uint32_t awaited = 0u;
    (void)unused;
    for (;;) {
        (void)xQueueReceive(lines, &row, portMAX_DELAY);
        port_alive();
        if (row.y == 0u) {
            (void)net_begin(&net);
        } else if (row.y != awaited) {
            awaited = 0u; /* of the next frame */
            continue;
        }
        const lg_status status = take(&row);
        if (status < LG_OK) {
            vTaskSuspend(NULL); /* nobody tells the watchdog: it starts the program afresh */
        }
        awaited = status == LG_OK ? 0u : row.y + 1u;
        if (status == LG_OK) {
            port_show(answer());
        }
    }
}

int main(void)
{
    const configSTACK_DEPTH_TYPE own = OWN_BYTES / sizeof(StackType_t);
    const configSTACK_DEPTH_TYPE all = (OWN_BYTES + NET_STACK_BYTES) / sizeof(StackType_t);
    lines = xQueueCreate(ROWS_AHEAD, sizeof(line));
    if (lines != NULL && net_init(&net, sizeof net, NET_MODEL_SHA256, NULL) == LG_OK &&
        xTaskCreate(camera, "camera", own, NULL, CAMERA_PRIORITY, NULL) == pdPASS &&
        xTaskCreate(classify, "classify", all, NULL, CLASSIFY_PRIORITY, NULL) == pdPASS) {
        port_start();
        vTaskStartScheduler();
    }
    return 1;
}
