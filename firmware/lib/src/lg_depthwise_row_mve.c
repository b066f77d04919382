#include "lg_depthwise.h"
#if defined(__ARM_FEATURE_MVE)
void lg_depthwise_row_mve(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out){lg_depthwise_row(layer,rows,out);}
#else
typedef int lg_depthwise_row_mve_is_left_out;
#endif
