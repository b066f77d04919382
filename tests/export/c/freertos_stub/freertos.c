/* Threads of POSIX in place of tasks; a tick is a millisecond. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "queue.h"
#include "task.h"

static struct task {
    TaskFunction_t code;
    void *parameters;
    pthread_t thread;
} tasks[8];
static int count;

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t more;
    size_t length, size, used;
    unsigned char *items;
};

BaseType_t xTaskCreate(TaskFunction_t code, const char *name, configSTACK_DEPTH_TYPE depth, void *parameters,
                       UBaseType_t priority, TaskHandle_t *created)
{
    (void)name, (void)priority;
    if (depth < 64u || count == 8) {
        return 0;
    }
    tasks[count].code = code;
    tasks[count].parameters = parameters;
    if (created != NULL) {
        *created = &tasks[count];
    }
    count++;
    return pdPASS;
}

static void *run(void *task)
{
    ((struct task *)task)->code(((struct task *)task)->parameters);
    abort(); /* a task must not return */
}

void vTaskStartScheduler(void)
{
    for (int i = 0; i < count; i++) {
        pthread_create(&tasks[i].thread, NULL, run, &tasks[i]);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(tasks[i].thread, NULL);
    }
}

void vTaskSuspend(TaskHandle_t task)
{
    (void)task;
    abort();
}

TickType_t xTaskGetTickCount(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (TickType_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

void vTaskDelayUntil(TickType_t *previous, TickType_t increment)
{
    *previous += increment;
    const int32_t left = (int32_t)(*previous - xTaskGetTickCount());
    if (left > 0) {
        nanosleep(&(struct timespec){.tv_nsec = left * 1000000L}, NULL);
    }
}

QueueHandle_t xQueueCreate(UBaseType_t length, UBaseType_t size)
{
    struct queue *const made = calloc(1u, sizeof *made);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->more, NULL);
    made->length = length;
    made->size = size;
    made->items = malloc(length * size);
    return made;
}

BaseType_t xQueueSend(QueueHandle_t queue, const void *item, TickType_t wait)
{
    (void)wait;
    pthread_mutex_lock(&queue->lock);
    const int fits = queue->used < queue->length;
    if (fits) {
        memcpy(queue->items + queue->used++ * queue->size, item, queue->size);
        pthread_cond_signal(&queue->more);
    }
    pthread_mutex_unlock(&queue->lock);
    return fits;
}

BaseType_t xQueueReceive(QueueHandle_t queue, void *item, TickType_t wait)
{
    (void)wait;
    pthread_mutex_lock(&queue->lock);
    while (queue->used == 0u) {
        pthread_cond_wait(&queue->more, &queue->lock);
    }
    memcpy(item, queue->items, queue->size);
    memmove(queue->items, queue->items + queue->size, --queue->used * queue->size);
    pthread_mutex_unlock(&queue->lock);
    return pdPASS;
}
