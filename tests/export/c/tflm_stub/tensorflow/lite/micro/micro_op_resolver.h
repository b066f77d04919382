// Stand-in: what an interpreter asks of its operators.
#ifndef TFLM_STUB_OP_RESOLVER_H
#define TFLM_STUB_OP_RESOLVER_H

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace tflite {

class MicroOpResolver {
public:
    virtual const TFLMRegistration *FindOp(BuiltinOperator op) const = 0;
    virtual ~MicroOpResolver() {}
    // The real one has this in every subclass, so that nothing refers to a heap.
    void operator delete(void *) {}
};

} // namespace tflite

#endif
