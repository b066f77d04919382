/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter of TensorFlow Lite Micro behind C functions. */
#ifndef NET_INTERPRETER_H
#define NET_INTERPRETER_H

#include <stddef.h>
#include <stdint.h>

#include "lg_status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    void *interpreter;
    int8_t *input;
    size_t input_bytes;
    const int8_t *output;
    size_t output_bytes;
} net_interpreter_tensors;

/* Build an interpreter of the model at the head of `memory` and allocate its tensors in the rest; `memory` is its own
 * from then on. LG_ERROR_MEMORY: the tensors cannot be allocated. LG_ERROR_MODEL: the schema is another one, or
 * input or output are not int8. */
lg_status net_interpreter_open(void *memory, size_t size, net_interpreter_tensors *tensors);

/* Bytes of `memory` that are used. */
size_t net_interpreter_used(const void *interpreter);

/* Run the network once: 1, or 0 if an operator fails. The input tensor is undefined afterwards. */
int net_interpreter_invoke(void *interpreter);

#ifdef __cplusplus
}
#endif

#endif
