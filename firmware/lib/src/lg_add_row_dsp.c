/* ADD on M4, M7, M33. With d = a - zero_point_a, the reference rounds d * 2^20 * multiplier / 2^31 half up: SMMULR of
 * d * 2^21. The division by 2^-shift that follows, and the rescaling of the sum, are as in lg_requant_fast. */
#include "lg_bytes.h"
#include "lg_elementwise.h"
#include "lg_requant.h"

#ifdef LG_DSP

typedef struct {
    int32_t multiplier, half, right;
} rescale;

static rescale make(int32_t multiplier, int32_t shift)
{
    return (rescale){multiplier, (int32_t)((1u << -shift) >> 1), -shift};
}

/* x2: twice what is rescaled. */
static inline int32_t rescaled(int32_t x2, rescale s)
{
    const int32_t high = lg_smmulr(x2, s.multiplier);
    return lg_asr(high + s.half + (s.right > 0 ? lg_asr(high, 31) : 0), s.right);
}

void lg_add_row_dsp(const lg_add *layer, const int8_t *a, const int8_t *b, uint32_t n, int8_t *out)
{
    const rescale scale_a = make(layer->a_multiplier, layer->a_shift);
    const rescale scale_b = make(layer->b_multiplier, layer->b_shift);
    const rescale scale_out = make(layer->out_multiplier, layer->out_shift);
    for (uint32_t i = 0; i < n; i++) {
        const int32_t left = rescaled((a[i] - layer->a_zero_point) * (1 << 21), scale_a);
        const int32_t right = rescaled((b[i] - layer->b_zero_point) * (1 << 21), scale_b);
        const int32_t sum = rescaled((left + right) * 2, scale_out);
        out[i] = lg_output_s8(sum, layer->out_zero_point, layer->act_min, layer->act_max);
    }
}

#else
typedef int lg_add_row_dsp_is_left_out;
#endif
