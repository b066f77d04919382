/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D, one row of output, for MVE (Cortex-M55): lg_conv.h has the equation. Most rows are made by
 * lg_conv_pixels_mve.c; here are those that a pool follows, of large windows or with shifts of either sign.
 *
 * The bytes of four windows are laid out, each as long as a filter, once for all channels of a group; VMLADAVA then
 * multiplies 16 of them with 16 weights and adds the products to one sum, for two windows and four channels at a time.
 * Filters are padded to whole vectors with zeros. A window that is one run of whole vectors is read where it lies; one
 * larger than the buffer is summed in pieces. */
#include "lg_conv_mve.h"

#if defined(__ARM_FEATURE_MVE)

enum { QUADS = 4, MOST = QUADS * CHANNELS };

/* One pass of multiply: a and b are the bytes of the windows. */
typedef struct {
    const int8_t *a, *b;
    uint32_t vectors;      /* of each window, > 0 */
    uint32_t start_step;   /* bytes from what the sums of four channels start with to those of the next four */
    uint32_t weights_step; /* bytes from the weights behind these to those of the next four channels */
    const int32_t *end;    /* of the sums */
} pass;

/* Up to MOST channels. */
typedef struct {
    const lg_conv *layer;
    const int8_t *weights;
    uint32_t channels;
    uint32_t row_bytes, bytes; /* of a window: in one row, in all */
    uint32_t shared_rows;      /* input rows that windows pooled into one pixel cover, 0: laid out for each window */
    int direct;                /* windows are read in place */
    uint32_t count;            /* output pixels, 1..WINDOWS */
    lg_mve_four place;         /* the last pixel is repeated */
    int32_t bias[QUADS][2][CHANNELS], sums[QUADS][WINDOWS][CHANNELS], best[QUADS][WINDOWS][CHANNELS];
    int32_t multiplier[MOST], shift[MOST];
    int8_t windows[WINDOWS * PIECE + VECTOR];
} group;

/* clang-format off */
/* sums = start + products of two windows, four channels at a time up to the end; sums: [][WINDOWS][CHANNELS]. */
__attribute__((naked, noinline)) static void multiply(IN_REGISTER const pass *p, IN_REGISTER const int32_t *start,
                                                      IN_REGISTER int32_t *sums, IN_REGISTER const int8_t *weights)
{
/* One channel: weights in q2 or q3, windows in q0 and q1. Sums are in even registers, as VMLADAVA demands. */
#define CHANNEL(q, a, b)             \
    "vldrb.8     " q ", [r5], #16\n" \
    "vmladava.s8 " a ", q0, " q "\n" \
    "vmladava.s8 " b ", q1, " q "\n"
#define TAPS                      \
    "vldrb.8     q0, [r1], #16\n" \
    "vldrb.8     q1, [r3], #16\n" \
    CHANNEL("q2", "r0", "r8")     \
    CHANNEL("q3", "r2", "r10")    \
    CHANNEL("q2", "r4", "r12")    \
    CHANNEL("q3", "r6", "lr")
    __asm__("push  {r4-r11, lr}\n"
            "ldm   r0, {r4-r9}\n"
            "push  {r4-r9}\n"
            "mov   r9, r1\n"
            "mov   r11, r2\n"
            "mov   r5, r3\n"
            "1:\n"
            "ldm   sp, {r1, r3, r7}\n"
            "ldm   r9, {r0, r2, r4, r6, r8, r10, r12, lr}\n"
            "lsrs  r7, r7, #1\n"
            "bcs   3f\n"
            "subs  r7, r7, #1\n"
            "2:\n" TAPS
            "3:\n" TAPS
            "subs  r7, r7, #1\n"
            "bpl   2b\n"
            "stm   r11, {r0, r2, r4, r6, r8, r10, r12, lr}\n"
            "add   r11, r11, #64\n"
            "ldrd  r0, r1, [sp, #12]\n"
            "ldr   r2, [sp, #20]\n"
            "add   r9, r9, r0\n"
            "add   r5, r5, r1\n"
            "cmp   r11, r2\n"
            "blo   1b\n"
            "add   sp, sp, #24\n"
            "pop   {r4-r11, pc}\n");
#undef TAPS
#undef CHANNEL
}
/* clang-format on */

/* Bytes from .. from + n - 1 of the windows that begin x and x + place.offset[] bytes into each row. */
static void lay_out(group *g, const int8_t *const *rows, uint32_t x, uint32_t from, uint32_t n)
{
    const lg_conv *const layer = g->layer;
    const uint32_t run_bytes = layer->run_bytes, runs = layer->runs;
    int8_t *to = g->windows;
    uint32_t run = 0, skip = 0;
    if (from > 0u) {
        run = from / run_bytes;
        skip = from % run_bytes;
        rows += run / runs * layer->row_step;
        run %= runs;
    }
    for (; n > 0u; run = 0, rows += layer->row_step) {
        const int8_t *in = *rows + x + run * layer->run_step;
        for (; n > 0u && run < runs; run++, in += layer->run_step, skip = 0) {
            const uint32_t left = run_bytes - skip, count = left < n ? left : n;
            lg_mve_copy_four(to, in + skip, &g->place, count);
            to += count;
            n -= count;
        }
    }
}

/* Adds bytes first .. first + n - 1 of windows a + offset[]; n is a multiple of VECTOR unless the window ends there. */
static void multiply_piece(group *g, const int8_t *a, const uint32_t *offset, uint32_t first, uint32_t n)
{
    const uint32_t vectors = (n + VECTOR - 1u) / VECTOR, all = (g->bytes + VECTOR - 1u) / VECTOR;
    pass p = {.vectors = vectors, .weights_step = (all - vectors) * VECTOR * CHANNELS};
    for (uint32_t w = 0; w < g->count; w += 2u) {
        int32_t *const sums = g->sums[0][w];
        p.a = a + offset[w];
        p.b = a + offset[w + 1u];
        p.start_step = first == 0u ? sizeof g->bias[0] : sizeof g->sums[0];
        p.end = sums + g->channels * WINDOWS;
        multiply(&p, first == 0u ? g->bias[0][0] : sums, sums, g->weights + first * CHANNELS);
    }
}

static const uint32_t laid_out[WINDOWS] = {0, PIECE, 2 * PIECE, 3 * PIECE};

/* Sums of the windows at x. */
static void sum_windows(group *g, const int8_t *const *rows, uint32_t x)
{
    if (g->direct) {
        multiply_piece(g, *rows + x, g->place.offset, 0, g->bytes);
        return;
    }
    for (uint32_t first = 0, n; first < g->bytes; first += n) {
        n = g->bytes - first < PIECE ? g->bytes - first : PIECE;
        lay_out(g, rows, x, first, n);
        multiply_piece(g, g->windows, laid_out, first, n);
    }
}

/* best: the largest sums of the windows of the output pixels whose first window is at x. */
static void sum_pooled(group *g, const int8_t *const *rows, uint32_t x)
{
    const lg_conv *const layer = g->layer;
    const uint32_t words = (g->channels + CHANNELS - 1u) / CHANNELS * WINDOWS * CHANNELS;
    int32_t *const best = g->best[0][0];
    for (uint32_t i = 0; i < words; i += 4u) {
        vstrwq_s32(best + i, vdupq_n_s32(INT32_MIN));
    }
    for (uint32_t px = layer->pool_w; px > 0u; px--, x += layer->x_step) {
        if (g->shared_rows > 0u) {
            lay_out(g, rows, x, 0, g->shared_rows * g->row_bytes);
        }
        for (uint32_t py = 0; py < layer->pool_h; py++) {
            if (g->shared_rows > 0u) {
                multiply_piece(g, g->windows + py * layer->y_step * g->row_bytes, laid_out, 0, g->bytes);
            } else {
                sum_windows(g, rows + py * layer->y_step, x);
            }
            for (uint32_t i = 0; i < words; i += 4u) {
                vstrwq_s32(best + i, vmaxq_s32(vldrwq_s32(best + i), vldrwq_s32(g->sums[0][0] + i)));
            }
        }
    }
}

/* The group's channels of its pixels, all shifts below 0: lg_mve_requant_down. */
static void put(const group *g, const int32_t *sums, int8_t *out)
{
    const lg_conv *const layer = g->layer;
    for (uint32_t c = 0; c < g->channels; c += CHANNELS, sums += WINDOWS * CHANNELS) {
        const int32_t *at = sums;
        int8_t *to = out + c;
        __asm__ volatile("vctp.32      %7\n"
                         "vldrw.32     q2, [%2]\n"
                         "vldrw.32     q3, [%3]\n"
                         "dls          lr, %8\n"
                         "1:\n"
                         "vldrw.32     q0, [%0], #16\n"
                         "vqrdmulh.s32 q0, q0, q2\n"
                         "vshr.s32     q1, q0, #31\n"
                         "vadd.i32     q0, q0, q1\n"
                         "vrshl.s32    q0, q0, q3\n"
                         "vadd.i32     q0, q0, %4\n"
                         "vmax.s32     q0, q0, %q5\n"
                         "vmin.s32     q0, q0, %q6\n"
                         "vpst\n"
                         "vstrbt.32    q0, [%1]\n"
                         "add          %1, %1, %9\n"
                         "le           lr, 1b\n"
                         : "+r"(at), "+l"(to)
                         : "r"(g->multiplier + c), "r"(g->shift + c), "r"((int32_t)layer->out_zero_point),
                           "w"(vdupq_n_s32(layer->act_min)), "w"(vdupq_n_s32(layer->act_max)), "r"(g->channels - c),
                           "r"(g->count), "r"((uint32_t)layer->out_c)
                         : "lr", "q0", "q1", "q2", "q3", "cc", "memory");
    }
}

/* The same for any shift. */
static void put_any(const group *g, const int32_t *sums, int8_t *out)
{
    const lg_conv *const layer = g->layer;
    const int32x4_t low = vdupq_n_s32(layer->act_min), high = vdupq_n_s32(layer->act_max);
    for (uint32_t c = 0; c < g->channels; c += CHANNELS, sums += WINDOWS * CHANNELS) {
        const int32x4_t multiplier = vldrwq_s32(g->multiplier + c), shift = vldrwq_s32(g->shift + c);
        int8_t *to = out + c;
        for (uint32_t w = 0; w < g->count; w++, to += layer->out_c) {
            int32x4_t x = lg_mve_requant(vldrwq_s32(sums + w * CHANNELS), multiplier, shift);
            x = vminq_s32(vmaxq_s32(vaddq_n_s32(x, layer->out_zero_point), low), high);
            vstrbq_p_s32(to, x, vctp32q(g->channels - c));
        }
    }
}

/* What the group needs of its channels. */
static void prepare(group *g, const lg_mve_channels *of)
{
    for (uint32_t c = 0; c < g->channels; c += CHANNELS, of++) {
        const int32x4_t bias = vldrwq_s32(of->bias);
        vstrwq_s32(g->bias[c / CHANNELS][0], bias);
        vstrwq_s32(g->bias[c / CHANNELS][1], bias);
        vstrwq_s32(g->multiplier + c, vldrwq_s32(of->multiplier));
        vstrwq_s32(g->shift + c, vldrwq_s32(of->shift));
    }
}

/* Up to WINDOWS pixels from x on: where their windows lie, `step` bytes apart. */
static void place(group *g, uint32_t x, uint32_t step)
{
    const uint32_t left = g->layer->out_w - x;
    g->count = left < WINDOWS ? left : WINDOWS;
    for (uint32_t i = 1; i < WINDOWS; i++) {
        g->place.offset[i] = g->place.offset[i - 1u] + (i < left ? step : 0u);
    }
}

static __attribute__((noinline)) void row_of_groups(const lg_conv *layer, const int8_t *const *rows, int8_t *out)
{
    group g;
    g.layer = layer;
    g.row_bytes = (uint32_t)layer->runs * layer->run_bytes;
    g.bytes = layer->kernel_h * g.row_bytes;
    g.place.offset[0] = 0;
    g.place.apart = PIECE;
    g.direct = lg_conv_in_place(layer);
    g.shared_rows = (layer->pool_h - 1u) * layer->y_step + layer->kernel_h;
    if (g.direct || layer->row_step > 1u || g.shared_rows * g.row_bytes > PIECE) {
        g.shared_rows = 0;
    }
    const int pooled = layer->pool_h * layer->pool_w > 1;
    const uint32_t out_c = layer->out_c, step = (uint32_t)layer->pool_w * layer->x_step;
    const uint32_t filter = (g.bytes + VECTOR - 1u) / VECTOR * VECTOR;
    void (*const write)(const group *, const int32_t *, int8_t *) = layer->any_shift == 0u ? put : put_any;
    for (uint32_t first = 0; first < out_c; first += MOST) {
        g.channels = out_c - first < MOST ? out_c - first : MOST;
        g.weights = (const int8_t *)layer->weights + first * filter;
        prepare(&g, (const lg_mve_channels *)layer->channels + first / CHANNELS);
        for (uint32_t x = 0; x < layer->out_w; x += WINDOWS) {
            place(&g, x, step);
            (pooled ? sum_pooled : sum_windows)(&g, rows, x * step);
            write(&g, (pooled ? g.best : g.sums)[0][0], out + x * out_c + first);
        }
    }
}

void lg_conv_row_mve(const lg_conv *layer, const int8_t *const *rows, int8_t *out)
{
    const uint32_t bytes = (uint32_t)layer->kernel_h * layer->runs * layer->run_bytes;
    const int pooled = layer->pool_h * layer->pool_w > 1;
    if (!pooled && layer->any_shift == 0u && (lg_conv_in_place(layer) || bytes <= ROOM / WINDOWS)) {
        lg_conv_pixels_mve(layer, rows, out);
    } else {
        row_of_groups(layer, rows, out);
    }
}

#else
typedef int lg_conv_row_mve_empty;
#endif
