// Stand-in: tensors and status as the generated code sees them.
#ifndef TFLM_STUB_COMMON_H
#define TFLM_STUB_COMMON_H

#include <stddef.h>
#include <stdint.h>

#ifndef TF_LITE_STATIC_MEMORY
#error "TF_LITE_STATIC_MEMORY must be defined: the library lays out TfLiteTensor with it"
#endif

extern "C" {

typedef enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 } TfLiteStatus;

typedef enum { kTfLiteNoType = 0, kTfLiteFloat32 = 1, kTfLiteInt32 = 2, kTfLiteUInt8 = 3, kTfLiteInt8 = 9 } TfLiteType;

typedef struct TfLiteIntArray {
    int size;
    int data[];
} TfLiteIntArray;

typedef union TfLitePtrUnion {
    int32_t *i32;
    float *f;
    char *raw;
    uint8_t *uint8;
    int8_t *int8;
    void *data;
} TfLitePtrUnion;

typedef struct TfLiteQuantizationParams {
    float scale;
    int32_t zero_point;
} TfLiteQuantizationParams;

typedef struct TfLiteTensor {
    TfLiteQuantizationParams params;
    TfLitePtrUnion data;
    TfLiteIntArray *dims;
    size_t bytes;
    TfLiteType type;
} TfLiteTensor;

typedef struct TFLMRegistration {
    int32_t builtin_code;
    const char *custom_name;
} TFLMRegistration;

} // extern "C"

#endif
