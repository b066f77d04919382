/* A stand-in for FreeRTOS: what the example calls, with the kernel's types and signatures; freertos.c runs it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef long BaseType_t;
typedef unsigned long UBaseType_t;
typedef uint32_t TickType_t;
typedef uint32_t StackType_t;
#define configSTACK_DEPTH_TYPE uint16_t
#define portMAX_DELAY ((TickType_t)0xffffffffUL)
#define pdMS_TO_TICKS(ms) ((TickType_t)(ms))
#define pdPASS ((BaseType_t)1)
