// Stand-in: the model as a table of bytes, and the operators' numbers.
#ifndef TFLM_STUB_SCHEMA_H
#define TFLM_STUB_SCHEMA_H

#include <stdint.h>

namespace tflite {

enum BuiltinOperator : int32_t {
    BuiltinOperator_ADD = 0,
    BuiltinOperator_AVERAGE_POOL_2D = 1,
    BuiltinOperator_CONCATENATION = 2,
    BuiltinOperator_CONV_2D = 3,
    BuiltinOperator_DEPTHWISE_CONV_2D = 4,
    BuiltinOperator_DEQUANTIZE = 6,
    BuiltinOperator_FULLY_CONNECTED = 9,
    BuiltinOperator_LOGISTIC = 14,
    BuiltinOperator_MAX_POOL_2D = 17,
    BuiltinOperator_MUL = 18,
    BuiltinOperator_RELU = 19,
    BuiltinOperator_RELU6 = 21,
    BuiltinOperator_RESHAPE = 22,
    BuiltinOperator_RESIZE_BILINEAR = 23,
    BuiltinOperator_SOFTMAX = 25,
    BuiltinOperator_TANH = 28,
    BuiltinOperator_PAD = 34,
    BuiltinOperator_TRANSPOSE = 39,
    BuiltinOperator_MEAN = 40,
    BuiltinOperator_SUB = 41,
    BuiltinOperator_SQUEEZE = 43,
    BuiltinOperator_STRIDED_SLICE = 45,
    BuiltinOperator_SPLIT = 49,
    BuiltinOperator_LOG_SOFTMAX = 50,
    BuiltinOperator_PRELU = 54,
    BuiltinOperator_MAXIMUM = 55,
    BuiltinOperator_MINIMUM = 57,
    BuiltinOperator_PADV2 = 60,
    BuiltinOperator_EXPAND_DIMS = 70,
    BuiltinOperator_SHAPE = 77,
    BuiltinOperator_PACK = 83,
    BuiltinOperator_UNPACK = 88,
    BuiltinOperator_RESIZE_NEAREST_NEIGHBOR = 97,
    BuiltinOperator_LEAKY_RELU = 98,
    BuiltinOperator_SPLIT_V = 102,
    BuiltinOperator_ELU = 111,
    BuiltinOperator_QUANTIZE = 114,
    BuiltinOperator_HARD_SWISH = 117,
};

class Model {
public:
    Model() = delete;
    uint32_t version() const;
};

const Model *GetModel(const void *buffer);

} // namespace tflite

#endif
