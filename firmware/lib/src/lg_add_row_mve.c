#include "lg_elementwise.h"
#if defined(__ARM_FEATURE_MVE)
void lg_add_row_mve(const lg_add *layer, const int8_t *a, const int8_t *b, uint32_t n, int8_t *out){lg_add_row(layer,a,b,n,out);}
#else
typedef int lg_add_row_mve_is_left_out;
#endif
