// Stand-in: an interpreter without kernels. It reads the flatbuffer as bytes:
//
//   table at t:   int32 at t is the distance back to its vtable v; uint16 v[2 + field] is the field's place after t, or 0
//   reference:    uint32 at p is the distance from p on
//   vector at v:  uint32 count, then the elements
#include "tensorflow/lite/micro/micro_interpreter.h"

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <stdio.h>
#endif

namespace tflite {
namespace {

constexpr size_t ALIGNMENT = 16;
// What a real interpreter's own objects and plan would take.
constexpr size_t OWN_BYTES = 1024;

template <typename T> T at(const uint8_t *place)
{
    T value;
    memcpy(&value, place, sizeof value);
    return value;
}

const uint8_t *follow(const uint8_t *place)
{
    return place + at<uint32_t>(place);
}

// The place of a table's field, or null where the field has its default.
const uint8_t *field(const uint8_t *table, unsigned int number)
{
    const uint8_t *const vtable = table - at<int32_t>(table);
    const size_t offset = 4 + 2 * number;
    const uint16_t place = offset < at<uint16_t>(vtable) ? at<uint16_t>(vtable + offset) : uint16_t(0);
    return place != 0 ? table + place : nullptr;
}

const uint8_t *element(const uint8_t *vector, uint32_t index)
{
    return vector + 4 + 4 * index;
}

const uint8_t *subgraph(const uint8_t *model)
{
    return follow(element(follow(field(follow(model), 2)), 0));
}

BuiltinOperator code_of(const uint8_t *model, uint32_t index)
{
    const uint8_t *const code = follow(element(follow(field(follow(model), 1)), index));
    const uint8_t *const old = field(code, 0), *const wide = field(code, 3);
    const int32_t narrow = old != nullptr ? at<int8_t>(old) : 0;
    const int32_t full = wide != nullptr ? at<int32_t>(wide) : 0;
    return static_cast<BuiltinOperator>(full > narrow ? full : narrow);
}

uint32_t crc32(const int8_t *data, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= static_cast<uint8_t>(data[i]);
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

void dump(const TfLiteTensor &tensor)
{
#if defined(__linux__)
    const char *const name = getenv("TFLM_STUB_DUMP");
    FILE *const file = name != nullptr ? fopen(name, "ab") : nullptr;
    if (file != nullptr) {
        fwrite(tensor.data.data, 1, tensor.bytes, file);
        fclose(file);
    }
#else
    (void)tensor;
#endif
}

} // namespace

uint32_t Model::version() const
{
    const uint8_t *const place = field(follow(reinterpret_cast<const uint8_t *>(this)), 0);
    return place != nullptr ? at<uint32_t>(place) : 0;
}

const Model *GetModel(const void *buffer)
{
    if (reinterpret_cast<uintptr_t>(buffer) % ALIGNMENT != 0) {
        abort();
    }
    return static_cast<const Model *>(buffer);
}

MicroInterpreter::MicroInterpreter(const Model *model, const MicroOpResolver &op_resolver, uint8_t *tensor_arena,
                                   size_t tensor_arena_size, MicroResourceVariables *, MicroProfilerInterface *, bool)
    : model_(reinterpret_cast<const uint8_t *>(model)), op_resolver_(op_resolver), arena_(tensor_arena),
      arena_size_(tensor_arena_size), used_(0), input_(nullptr), output_(nullptr)
{
    // The real one stops here, too, when its own objects do not fit.
    if (reinterpret_cast<uintptr_t>(tensor_arena) % ALIGNMENT != 0 || take(OWN_BYTES) == nullptr) {
        abort();
    }
}

MicroInterpreter::~MicroInterpreter() {}

void *MicroInterpreter::take(size_t size)
{
    const size_t whole = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (whole > arena_size_ - used_) {
        return nullptr;
    }
    uint8_t *const place = arena_ + used_;
    used_ += whole;
    memset(place, 0x55, whole);
    return place;
}

TfLiteTensor *MicroInterpreter::tensor(int32_t index)
{
    const uint8_t *const table = follow(element(follow(field(subgraph(model_), 0)), static_cast<uint32_t>(index)));
    const uint8_t *const shape = follow(field(table, 0)), *const type = field(table, 1);
    const uint32_t sides = at<uint32_t>(shape);
    TfLiteTensor *const made = static_cast<TfLiteTensor *>(take(sizeof(TfLiteTensor)));
    TfLiteIntArray *const dims = static_cast<TfLiteIntArray *>(take(sizeof(int) * (1 + sides)));
    if (made == nullptr || dims == nullptr) {
        return nullptr;
    }
    dims->size = static_cast<int>(sides);
    memset(made, 0, sizeof *made);
    made->dims = dims;
    made->type = static_cast<TfLiteType>(type != nullptr && at<int8_t>(type) == 9 ? kTfLiteInt8 : kTfLiteFloat32);
    made->bytes = made->type == kTfLiteInt8 ? 1 : sizeof(float);
    for (uint32_t i = 0; i < sides; i++) {
        dims->data[i] = at<int32_t>(element(shape, i));
        made->bytes *= static_cast<size_t>(dims->data[i]);
    }
    made->data.data = take(made->bytes);
    return made->data.data != nullptr ? made : nullptr;
}

TfLiteStatus MicroInterpreter::AllocateTensors()
{
    const uint8_t *const graph = subgraph(model_);
    const uint8_t *const operators = follow(field(graph, 3));
    for (uint32_t i = 0; i < at<uint32_t>(operators); i++) {
        const uint8_t *const code = field(follow(element(operators, i)), 0);
        if (op_resolver_.FindOp(code_of(model_, code != nullptr ? at<uint32_t>(code) : 0)) == nullptr) {
            return kTfLiteError;
        }
    }
    input_ = tensor(at<int32_t>(element(follow(field(graph, 1)), 0)));
    output_ = tensor(at<int32_t>(element(follow(field(graph, 2)), 0)));
    return input_ != nullptr && output_ != nullptr ? kTfLiteOk : kTfLiteError;
}

TfLiteStatus MicroInterpreter::Invoke()
{
    if (input_ == nullptr || output_ == nullptr) {
        return kTfLiteError;
    }
    dump(*input_);
    const uint32_t crc = crc32(input_->data.int8, input_->bytes);
#if defined(TFLM_STUB_FAILS_ON)
    // Stands for an operator that fails on this input.
    if (crc == TFLM_STUB_FAILS_ON) {
        return kTfLiteError;
    }
#endif
    for (size_t i = 0; i < output_->bytes; i++) {
        output_->data.uint8[i] = static_cast<uint8_t>(crc >> (8 * (i % 4)));
    }
    memset(input_->data.data, 0xAA, input_->bytes); // its memory is free for later activations
    return kTfLiteOk;
}

TfLiteTensor *MicroInterpreter::input(size_t index)
{
    return index == 0 ? input_ : nullptr;
}

TfLiteTensor *MicroInterpreter::output(size_t index)
{
    return index == 0 ? output_ : nullptr;
}

size_t MicroInterpreter::arena_used_bytes() const
{
    return used_;
}

#if defined(CMSIS_NN)
TFLMRegistration Register_ADD_INT8() { return {}; }
TFLMRegistration Register_AVERAGE_POOL_2D_INT8() { return {}; }
TFLMRegistration Register_CONV_2D_INT8() { return {}; }
TFLMRegistration Register_DEPTHWISE_CONV_2D_INT8() { return {}; }
TFLMRegistration Register_FULLY_CONNECTED_INT8() { return {}; }
TFLMRegistration Register_MAX_POOL_2D_INT8() { return {}; }
TFLMRegistration Register_MUL_INT8() { return {}; }
TFLMRegistration Register_SOFTMAX_INT8() { return {}; }
#endif

} // namespace tflite
