// Stand-in: a list of at most `capacity` operators, each once.
#ifndef TFLM_STUB_MUTABLE_OP_RESOLVER_H
#define TFLM_STUB_MUTABLE_OP_RESOLVER_H

#include "tensorflow/lite/micro/micro_op_resolver.h"

namespace tflite {

// Kernels for int8 alone: in the library if that is built with CMSIS-NN.
#if defined(CMSIS_NN)
TFLMRegistration Register_ADD_INT8();
TFLMRegistration Register_AVERAGE_POOL_2D_INT8();
TFLMRegistration Register_CONV_2D_INT8();
TFLMRegistration Register_DEPTHWISE_CONV_2D_INT8();
TFLMRegistration Register_FULLY_CONNECTED_INT8();
TFLMRegistration Register_MAX_POOL_2D_INT8();
TFLMRegistration Register_MUL_INT8();
TFLMRegistration Register_SOFTMAX_INT8();
#else
inline TFLMRegistration Register_ADD_INT8() { return {}; }
inline TFLMRegistration Register_AVERAGE_POOL_2D_INT8() { return {}; }
inline TFLMRegistration Register_CONV_2D_INT8() { return {}; }
inline TFLMRegistration Register_DEPTHWISE_CONV_2D_INT8() { return {}; }
inline TFLMRegistration Register_FULLY_CONNECTED_INT8() { return {}; }
inline TFLMRegistration Register_MAX_POOL_2D_INT8() { return {}; }
inline TFLMRegistration Register_MUL_INT8() { return {}; }
inline TFLMRegistration Register_SOFTMAX_INT8() { return {}; }
#endif

template <unsigned int capacity> class MicroMutableOpResolver : public MicroOpResolver {
public:
    explicit MicroMutableOpResolver() {}

    void operator delete(void *) {}

    const TFLMRegistration *FindOp(BuiltinOperator op) const override
    {
        for (unsigned int i = 0; i < count_; i++) {
            if (registrations_[i].builtin_code == op) {
                return &registrations_[i];
            }
        }
        return nullptr;
    }

    TfLiteStatus AddAdd(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_ADD, registration);
    }
    TfLiteStatus AddAveragePool2D(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_AVERAGE_POOL_2D, registration);
    }
    TfLiteStatus AddConcatenation(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_CONCATENATION, registration);
    }
    TfLiteStatus AddConv2D(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_CONV_2D, registration);
    }
    TfLiteStatus AddDepthwiseConv2D(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_DEPTHWISE_CONV_2D, registration);
    }
    TfLiteStatus AddDequantize(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_DEQUANTIZE, registration);
    }
    TfLiteStatus AddElu(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_ELU, registration);
    }
    TfLiteStatus AddExpandDims(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_EXPAND_DIMS, registration);
    }
    TfLiteStatus AddFullyConnected(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_FULLY_CONNECTED, registration);
    }
    TfLiteStatus AddHardSwish(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_HARD_SWISH, registration);
    }
    TfLiteStatus AddLeakyRelu(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_LEAKY_RELU, registration);
    }
    TfLiteStatus AddLogistic(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_LOGISTIC, registration);
    }
    TfLiteStatus AddLogSoftmax(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_LOG_SOFTMAX, registration);
    }
    TfLiteStatus AddMaxPool2D(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_MAX_POOL_2D, registration);
    }
    TfLiteStatus AddMaximum(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_MAXIMUM, registration);
    }
    TfLiteStatus AddMean(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_MEAN, registration);
    }
    TfLiteStatus AddMinimum(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_MINIMUM, registration);
    }
    TfLiteStatus AddMul(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_MUL, registration);
    }
    TfLiteStatus AddPack(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_PACK, registration);
    }
    TfLiteStatus AddPad(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_PAD, registration);
    }
    TfLiteStatus AddPadV2(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_PADV2, registration);
    }
    TfLiteStatus AddPrelu(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_PRELU, registration);
    }
    TfLiteStatus AddQuantize(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_QUANTIZE, registration);
    }
    TfLiteStatus AddRelu(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_RELU, registration);
    }
    TfLiteStatus AddRelu6(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_RELU6, registration);
    }
    TfLiteStatus AddReshape(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_RESHAPE, registration);
    }
    TfLiteStatus AddResizeBilinear(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_RESIZE_BILINEAR, registration);
    }
    TfLiteStatus AddResizeNearestNeighbor(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_RESIZE_NEAREST_NEIGHBOR, registration);
    }
    TfLiteStatus AddShape(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_SHAPE, registration);
    }
    TfLiteStatus AddSoftmax(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_SOFTMAX, registration);
    }
    TfLiteStatus AddSplit(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_SPLIT, registration);
    }
    TfLiteStatus AddSplitV(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_SPLIT_V, registration);
    }
    TfLiteStatus AddSqueeze(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_SQUEEZE, registration);
    }
    TfLiteStatus AddStridedSlice(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_STRIDED_SLICE, registration);
    }
    TfLiteStatus AddSub(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_SUB, registration);
    }
    TfLiteStatus AddTanh(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_TANH, registration);
    }
    TfLiteStatus AddTranspose(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_TRANSPOSE, registration);
    }
    TfLiteStatus AddUnpack(const TFLMRegistration &registration = {})
    {
        return AddBuiltin(BuiltinOperator_UNPACK, registration);
    }

    unsigned int GetRegistrationLength() { return count_; }

private:
    TfLiteStatus AddBuiltin(BuiltinOperator op, const TFLMRegistration &registration)
    {
        if (FindOp(op) != nullptr || count_ >= capacity) {
            return kTfLiteError;
        }
        registrations_[count_] = registration;
        registrations_[count_].builtin_code = op;
        count_++;
        return kTfLiteOk;
    }

    TFLMRegistration registrations_[capacity];
    unsigned int count_ = 0;
};

} // namespace tflite

#endif
