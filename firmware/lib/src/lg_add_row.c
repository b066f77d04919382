/* ADD on any core: both inputs times 2^20 to one scale of 1 / twice_max, their sum to the scale of the output. */
#include "lg_elementwise.h"
#include "lg_requant.h"

void lg_add_row(const lg_add *layer, const int8_t *a, const int8_t *b, uint32_t n, int8_t *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const int32_t left = (a[i] - layer->a_zero_point) * (1 << 20);
        const int32_t right = (b[i] - layer->b_zero_point) * (1 << 20);
        const int32_t sum = lg_requant_double(left, layer->a_multiplier, layer->a_shift) +
                            lg_requant_double(right, layer->b_multiplier, layer->b_shift);
        const int32_t scaled = lg_requant_double(sum, layer->out_multiplier, layer->out_shift);
        out[i] = lg_output_s8(scaled, layer->out_zero_point, layer->act_min, layer->act_max);
    }
}
