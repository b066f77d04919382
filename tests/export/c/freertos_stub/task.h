#pragma once

#include "FreeRTOS.h"

typedef void (*TaskFunction_t)(void *);
typedef struct task *TaskHandle_t;

BaseType_t xTaskCreate(TaskFunction_t code, const char *name, configSTACK_DEPTH_TYPE depth, void *parameters,
                       UBaseType_t priority, TaskHandle_t *created);
void vTaskStartScheduler(void);
void vTaskSuspend(TaskHandle_t task);
TickType_t xTaskGetTickCount(void);
void vTaskDelayUntil(TickType_t *previous, TickType_t increment);
