/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D with multiplier 1 on M55: sixteen channels of a pixel at a time.
 *
 * Products of two taps are added as int16 (weights -127..127: at most 2 * 128 * 127), then as int32. Even and odd lanes
 * part twice on the way from int8 to int32, so sum k holds channels k, k + 4, k + 8, k + 12; narrowing puts them
 * back. */
#include "lg_depthwise.h"
#include "lg_mve.h"

#if defined(__ARM_FEATURE_MVE)

enum { LANES = 16 };

typedef struct {
    int32_t bias[LANES], multiplier[LANES], shift[LANES]; /* in the order of the sums; bytes 0, 64, 128 */
    int16_t zero_point[LANES / 2];                        /* byte 192 */
    int8_t act_min[LANES], act_max[LANES];                /* bytes 208, 224 */
    uint32_t x_step, in_c;                                /* bytes 240, 244 */
    const int32_t *weights;                               /* [kernel_h][kernel_w][LANES] int8 */
    uint32_t down;                                        /* all shifts are below 0 */
    mve_pred16_t active;
} group;

typedef struct {
    int32x4_t k0, k1, k2, k3;
} sums;

static void set_group(group *g, const lg_depthwise *l, uint32_t first)
{
    const lg_channel *channels = (const lg_channel *)l->channels + first;
    const uint32_t left = l->in_c - first, count = left < LANES ? left : LANES;
    vstrhq_s16(g->zero_point, vdupq_n_s16(l->out_zero_point));
    vstrbq_s8(g->act_min, vdupq_n_s8(l->act_min));
    vstrbq_s8(g->act_max, vdupq_n_s8(l->act_max));
    g->x_step = l->x_step;
    g->in_c = l->in_c;
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

static inline void add_taps(sums *s, const int8_t *a, const int8_t *b, const int8_t *weights, mve_pred16_t active)
{
    const int8x16_t x = vldrbq_z_s8(a, active), w = vldrbq_s8(weights);
    const int8x16_t y = vldrbq_z_s8(b, active), v = vldrbq_s8(weights + LANES);
    const int16x8_t even = vaddq_s16(vmullbq_int_s8(x, w), vmullbq_int_s8(y, v));
    const int16x8_t odd = vaddq_s16(vmulltq_int_s8(x, w), vmulltq_int_s8(y, v));
    add_products(s, even, odd);
}

static inline void add_tap(sums *s, const int8_t *a, const int8_t *weights, mve_pred16_t active)
{
    const int8x16_t x = vldrbq_z_s8(a, active), w = vldrbq_s8(weights);
    add_products(s, vmullbq_int_s8(x, w), vmulltq_int_s8(x, w));
}

static inline int32x4_t rescaled(const group *g, int32x4_t x, uint32_t at)
{
    const int32x4_t multiplier = vldrwq_s32(g->multiplier + at), shift = vldrwq_s32(g->shift + at);
    return g->down ? lg_mve_requant_down(x, multiplier, shift) : lg_mve_requant(x, multiplier, shift);
}

static inline void finish(const group *g, sums s, int8_t *out)
{
    s.k0 = rescaled(g, s.k0, 0);
    s.k1 = rescaled(g, s.k1, 4);
    s.k2 = rescaled(g, s.k2, 8);
    s.k3 = rescaled(g, s.k3, 12);
    int16x8_t even = vqmovntq_s32(vqmovnbq_s32(vuninitializedq_s16(), s.k0), s.k2);
    int16x8_t odd = vqmovntq_s32(vqmovnbq_s32(vuninitializedq_s16(), s.k1), s.k3);
    const int16x8_t zero_point = vldrhq_s16(g->zero_point);
    even = vqaddq_s16(even, zero_point);
    odd = vqaddq_s16(odd, zero_point);
    int8x16_t all = vqmovntq_s16(vqmovnbq_s16(vuninitializedq_s8(), even), odd);
    all = vminq_s8(vmaxq_s8(all, vldrbq_s8(g->act_min)), vldrbq_s8(g->act_max));
    vstrbq_p_s8(out, all, g->active);
}

static inline sums biases(const group *g)
{
    return (sums){vldrwq_s32(g->bias), vldrwq_s32(g->bias + 4), vldrwq_s32(g->bias + 8), vldrwq_s32(g->bias + 12)};
}

#ifdef __OPTIMIZE__
/* clang-format off */
/* What row_any does, for 3x3 and shifts below 0, in the eight registers there are: q0..q3 are the sums. Without
 * optimisation too few general registers are free for it. */
#define ADD_PRODUCTS(even, odd, free)                                \
    "vmovlb.s16 " free ", " even "\n\tvadd.i32 q0, q0, " free "\n\t" \
    "vmovlb.s16 " free ", " odd "\n\tvadd.i32 q1, q1, " free "\n\t"  \
    "vmovlt.s16 " free ", " even "\n\tvadd.i32 q2, q2, " free "\n\t" \
    "vmovlt.s16 " free ", " odd "\n\tvadd.i32 q3, q3, " free "\n\t"
#define ADD_TAPS(a, b, weights_a, weights_b)                    \
    "vpstt\n\tvldrbt.8 q4, [" a "]\n\tvldrbt.8 q5, [" b "]\n\t" \
    "vldrw.32 q6, [%[w], #" weights_a "]\n\t"                   \
    "vmullb.s8 q7, q4, q6\n\tvmullt.s8 q4, q4, q6\n\t"          \
    "vldrw.32 q6, [%[w], #" weights_b "]\n\t"                   \
    "vmullb.s8 q5, q5, q6\n\tvadd.i16 q7, q7, q5\n\t"           \
    "vpst\n\tvldrbt.8 q5, [" b "]\n\t"                          \
    "vmullt.s8 q5, q5, q6\n\tvadd.i16 q4, q4, q5\n\t" ADD_PRODUCTS("q7", "q4", "q5")
#define RESCALE(sum, multiplier, shift)                                             \
    "vldrw.32 q4, [%[g], #" multiplier "]\n\tvqrdmulh.s32 " sum ", " sum ", q4\n\t" \
    "vshr.s32 q4, " sum ", #31\n\tvadd.i32 " sum ", " sum ", q4\n\t"                \
    "vldrw.32 q4, [%[g], #" shift "]\n\tvrshl.s32 " sum ", " sum ", q4\n\t"

static __attribute__((noinline)) void row_3x3(const lg_depthwise *l, const group *g, const int8_t *const *rows,
                                              uint32_t first, int8_t *out)
{
    const int8_t *a = rows[0] + first, *b = rows[l->row_step] + first, *c = rows[2u * l->row_step] + first;
    uint32_t s = l->out_w, t = g->active;
    __asm__ volatile("vmsr p0, %[t]\n\t"
                     "dls lr, %[s]\n"
                     "1:\n\t"
                     "vldrw.32 q0, [%[g]]\n\t"
                     "vldrw.32 q1, [%[g], #16]\n\t"
                     "vldrw.32 q2, [%[g], #32]\n\t"
                     "vldrw.32 q3, [%[g], #48]\n\t"
                     "add %[s], %[a], %[step]\n\t"
                     "add %[t], %[s], %[step]\n\t"
                     ADD_TAPS("%[a]", "%[s]", "0", "16")
                     ADD_TAPS("%[t]", "%[b]", "32", "48")
                     "add %[s], %[b], %[step]\n\t"
                     "add %[t], %[s], %[step]\n\t"
                     ADD_TAPS("%[s]", "%[t]", "64", "80")
                     "add %[s], %[c], %[step]\n\t"
                     "add %[t], %[s], %[step]\n\t"
                     ADD_TAPS("%[c]", "%[s]", "96", "112")
                     "vpst\n\t"
                     "vldrbt.8 q4, [%[t]]\n\t"
                     "vldrw.32 q6, [%[w], #128]\n\t"
                     "vmullb.s8 q7, q4, q6\n\t"
                     "vmullt.s8 q4, q4, q6\n\t"
                     ADD_PRODUCTS("q7", "q4", "q5")
                     RESCALE("q0", "64", "128")
                     RESCALE("q1", "80", "144")
                     RESCALE("q2", "96", "160")
                     RESCALE("q3", "112", "176")
                     "vqmovnb.s32 q0, q0\n\t"
                     "vqmovnt.s32 q0, q2\n\t"
                     "vqmovnb.s32 q1, q1\n\t"
                     "vqmovnt.s32 q1, q3\n\t"
                     "vldrw.32 q4, [%[g], #192]\n\t"
                     "vqadd.s16 q0, q0, q4\n\t"
                     "vqadd.s16 q1, q1, q4\n\t"
                     "vqmovnb.s16 q0, q0\n\t"
                     "vqmovnt.s16 q0, q1\n\t"
                     "vldrw.32 q4, [%[g], #208]\n\t"
                     "vmax.s8 q0, q0, q4\n\t"
                     "vldrw.32 q4, [%[g], #224]\n\t"
                     "vmin.s8 q0, q0, q4\n\t"
                     "vpst\n\t"
                     "vstrbt.8 q0, [%[out]]\n\t"
                     "ldrd %[s], %[t], [%[g], #240]\n\t"
                     "add %[a], %[a], %[s]\n\t"
                     "add %[b], %[b], %[s]\n\t"
                     "add %[c], %[c], %[s]\n\t"
                     "add %[out], %[out], %[t]\n\t"
                     "le lr, 1b"
                     : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [out] "+r"(out), [s] "+r"(s), [t] "+r"(t)
                     : [g] "r"(g), [w] "r"(g->weights), [step] "r"((uint32_t)l->tap_step)
                     : "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory");
}
/* clang-format on */

#endif

static __attribute__((noinline)) void row_any(const lg_depthwise *l, const group *g, const int8_t *const *rows,
                                              uint32_t first, int8_t *out)
{
    const uint32_t step = l->tap_step;
    const mve_pred16_t active = g->active;
    uint32_t at = first;
    for (uint32_t x = l->out_w; x > 0u; x--) {
        const int8_t *w = (const int8_t *)g->weights;
        sums s = biases(g);
        for (uint32_t ky = 0; ky < l->kernel_h; ky++) {
            const int8_t *a = rows[ky * l->row_step] + at;
            uint32_t left = l->kernel_w;
            for (; left > 1u; left -= 2u) {
                add_taps(&s, a, a + step, w, active);
                a += 2u * step;
                w += 2 * LANES;
            }
            if (left > 0u) {
                add_tap(&s, a, w, active);
                w += LANES;
            }
        }
        finish(g, s, out);
        at += l->x_step;
        out += l->in_c;
    }
}

void lg_depthwise_row_mve(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out)
{
    const uint32_t words = (uint32_t)layer->kernel_h * layer->kernel_w * (LANES / 4u);
    group g;
    g.weights = layer->weights;
    for (uint32_t first = 0; first < layer->in_c; first += LANES) {
        set_group(&g, layer, first);
#ifdef __OPTIMIZE__
        if (layer->kernel_h == 3u && layer->kernel_w == 3u && g.down != 0u) {
            row_3x3(layer, &g, rows, first, out + first);
        } else
#endif
        {
            row_any(layer, &g, rows, first, out + first);
        }
        g.weights += words;
    }
}

#else
typedef int lg_depthwise_row_mve_is_left_out;
#endif
