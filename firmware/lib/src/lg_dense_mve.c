#include "lg_depthwise.h"
#if defined(__ARM_FEATURE_MVE)
void lg_dense_accumulate_mve(const lg_dense *layer, const int8_t *in, uint32_t first, uint32_t n, int32_t *acc){lg_dense_accumulate(layer,in,first,n,acc);}
#else
typedef int lg_dense_mve_is_left_out;
#endif
