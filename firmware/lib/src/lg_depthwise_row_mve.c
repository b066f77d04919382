/* DEPTHWISE_CONV_2D with multiplier 1 on M55: sixteen channels of a pixel at a time.
 *
 * Products of two taps are added as int16 (weights -127..127: at most 2 * 128 * 127), then as int32. Even and odd lanes
 * part twice on the way from int8 to int32, so sum k holds channels k, k + 4, k + 8, k + 12; narrowing puts them back. */
#include "lg_depthwise.h"
#include "lg_mve.h"

#if defined(__ARM_FEATURE_MVE)

enum { LANES = 16 };

typedef struct {
    int32_t bias[LANES], multiplier[LANES], shift[LANES]; /* in the order of the sums */
    uint32_t down;                                        /* all shifts are below 0 */
    mve_pred16_t active;
} group;

typedef struct {
    int32x4_t k0, k1, k2, k3;
} sums;

static void set_group(group *g, const lg_channel *channels, uint32_t count)
{
    g->down = 1;
    for (uint32_t i = 0; i < LANES; i++) {
        const uint32_t c = i % 4u * 4u + i / 4u;
        const lg_channel *from = &channels[c < count ? c : 0u];
        g->bias[i] = from->bias;
        g->multiplier[i] = from->multiplier;
        g->shift[i] = from->shift;
        g->down = from->shift < 0 ? g->down : 0u;
    }
    g->active = vctp8q(count);
}

static inline void add_products(sums *s, int16x8_t even, int16x8_t odd)
{
    s->k0 = vaddq_s32(s->k0, vmovlbq_s16(even));
    s->k1 = vaddq_s32(s->k1, vmovlbq_s16(odd));
    s->k2 = vaddq_s32(s->k2, vmovltq_s16(even));
    s->k3 = vaddq_s32(s->k3, vmovltq_s16(odd));
}

static inline void add_taps(sums *s, const int8_t *a, const int8_t *b, const int8_t *weights_a, const int8_t *weights_b,
                            mve_pred16_t active)
{
    const int8x16_t x = vldrbq_z_s8(a, active), w = vldrbq_z_s8(weights_a, active);
    const int8x16_t y = vldrbq_z_s8(b, active), v = vldrbq_z_s8(weights_b, active);
    const int16x8_t even = vaddq_s16(vmullbq_int_s8(x, w), vmullbq_int_s8(y, v));
    const int16x8_t odd = vaddq_s16(vmulltq_int_s8(x, w), vmulltq_int_s8(y, v));
    add_products(s, even, odd);
}

static inline void add_tap(sums *s, const int8_t *a, const int8_t *weights, mve_pred16_t active)
{
    const int8x16_t x = vldrbq_z_s8(a, active), w = vldrbq_z_s8(weights, active);
    add_products(s, vmullbq_int_s8(x, w), vmulltq_int_s8(x, w));
}

static inline int32x4_t rescaled(const group *g, int32x4_t x, uint32_t at)
{
    const int32x4_t multiplier = vldrwq_s32(g->multiplier + at), shift = vldrwq_s32(g->shift + at);
    return g->down ? lg_mve_requant_down(x, multiplier, shift) : lg_mve_requant(x, multiplier, shift);
}

static inline void finish(const lg_depthwise *l, const group *g, sums s, int8_t *out)
{
    s.k0 = rescaled(g, s.k0, 0);
    s.k1 = rescaled(g, s.k1, 4);
    s.k2 = rescaled(g, s.k2, 8);
    s.k3 = rescaled(g, s.k3, 12);
    int16x8_t even = vqmovntq_s32(vqmovnbq_s32(vuninitializedq_s16(), s.k0), s.k2);
    int16x8_t odd = vqmovntq_s32(vqmovnbq_s32(vuninitializedq_s16(), s.k1), s.k3);
    even = vqaddq_n_s16(even, l->out_zero_point);
    odd = vqaddq_n_s16(odd, l->out_zero_point);
    int8x16_t all = vqmovntq_s16(vqmovnbq_s16(vuninitializedq_s8(), even), odd);
    all = vminq_s8(vmaxq_s8(all, vdupq_n_s8(l->act_min)), vdupq_n_s8(l->act_max));
    vstrbq_p_s8(out, all, g->active);
}

static inline sums biases(const group *g)
{
    return (sums){vldrwq_s32(g->bias), vldrwq_s32(g->bias + 4), vldrwq_s32(g->bias + 8), vldrwq_s32(g->bias + 12)};
}

static __attribute__((noinline)) void row_3x3(const lg_depthwise *l, const group *g, const int8_t *const *rows,
                                              uint32_t first, int8_t *out)
{
    const uint32_t step = l->tap_step, next = l->in_c;
    const int8_t *a = rows[0] + first, *b = rows[l->row_step] + first, *c = rows[2u * l->row_step] + first;
    const int8_t *const w = (const int8_t *)l->weights + first;
    const mve_pred16_t active = g->active;
    for (uint32_t x = l->out_w; x > 0u; x--) {
        sums s = biases(g);
        add_taps(&s, a, a + step, w, w + next, active);
        add_taps(&s, a + 2u * step, b, w + 2u * next, w + 3u * next, active);
        add_taps(&s, b + step, b + 2u * step, w + 4u * next, w + 5u * next, active);
        add_taps(&s, c, c + step, w + 6u * next, w + 7u * next, active);
        add_tap(&s, c + 2u * step, w + 8u * next, active);
        finish(l, g, s, out);
        a += l->x_step;
        b += l->x_step;
        c += l->x_step;
        out += next;
    }
}

static __attribute__((noinline)) void row_any(const lg_depthwise *l, const group *g, const int8_t *const *rows,
                                              uint32_t first, int8_t *out)
{
    const uint32_t step = l->tap_step, next = l->in_c;
    const mve_pred16_t active = g->active;
    uint32_t at = first;
    for (uint32_t x = l->out_w; x > 0u; x--) {
        const int8_t *w = (const int8_t *)l->weights + first;
        sums s = biases(g);
        for (uint32_t ky = 0; ky < l->kernel_h; ky++) {
            const int8_t *a = rows[ky * l->row_step] + at;
            uint32_t left = l->kernel_w;
            for (; left > 1u; left -= 2u) {
                add_taps(&s, a, a + step, w, w + next, active);
                a += 2u * step;
                w += 2u * next;
            }
            if (left > 0u) {
                add_tap(&s, a, w, active);
                w += next;
            }
        }
        finish(l, g, s, out);
        at += l->x_step;
        out += next;
    }
}

void lg_depthwise_row_mve(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out)
{
    for (uint32_t first = 0; first < layer->in_c; first += LANES) {
        const uint32_t left = layer->in_c - first;
        group g;
        set_group(&g, layer->channels + first, left < LANES ? left : LANES);
        if (layer->kernel_h == 3u && layer->kernel_w == 3u) {
            row_3x3(layer, &g, rows, first, out + first);
        } else {
            row_any(layer, &g, rows, first, out + first);
        }
    }
}

#else
typedef int lg_depthwise_row_mve_is_left_out;
#endif
