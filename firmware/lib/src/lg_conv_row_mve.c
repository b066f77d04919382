/* CONV_2D, one row of output, for MVE (Cortex-M55): lg_conv.h has the equation.
 *
 * The bytes of two neighbouring windows are laid out one after the other, each as long as a filter, once for all
 * channels of a group; VMLADAVA then multiplies 16 of them with 16 weights and adds the products to one sum, for two
 * windows and four channels at a time. Filters are padded to whole vectors with zeros. A window that is one run of whole
 * vectors is read where it lies; one larger than the buffer is summed in pieces. */
#include "lg_conv.h"

#if defined(__ARM_FEATURE_MVE)
#include "lg_mve.h"

enum { CHANNELS = 4, MOST = 16, VECTOR = 16, PIECE = 512 };

/* One pass of multiply: a and b are the bytes of the windows. */
typedef struct {
    const int8_t *a, *b;
    uint32_t vectors;      /* of each window, > 0 */
    uint32_t weights_step; /* bytes from the weights behind these to those of the next four channels */
    const int32_t *end;    /* of window A's sums */
} pass;

/* Up to MOST channels. */
typedef struct {
    const lg_conv *layer;
    const int8_t *weights;
    uint32_t channels;
    uint32_t row_bytes, bytes; /* of a window: in one row, in all */
    uint32_t shared_rows;      /* input rows that the windows pooled into one pixel cover, 0: laid out for each window */
    int direct;                /* windows are read in place */
    int32_t bias[2][MOST], sums[2][MOST]; /* of windows A and B */
    int32_t best[MOST], multiplier[MOST], shift[MOST];
    int8_t windows[2][PIECE + VECTOR];
} group;

#define IN_REGISTER __attribute__((unused))

/* sums = start + products. Window B's are MOST words after window A's; four channels at a time up to end. */
__attribute__((naked, noinline)) static void multiply(IN_REGISTER const pass *p, IN_REGISTER const int32_t *start,
                                                      IN_REGISTER int32_t *sums, IN_REGISTER const int8_t *weights)
{
/* One channel: weights in q2 or q3, windows in q0 and q1. Sums are in even registers, as VMLADAVA demands. */
#define CHANNEL(q, a, b)             \
    "vldrb.8     " q ", [r5], #16\n" \
    "vmladava.s8 " a ", q0, " q "\n" \
    "vmladava.s8 " b ", q1, " q "\n"
#define TAPS                         \
    "vldrb.8     q0, [r1], #16\n"    \
    "vldrb.8     q1, [r3], #16\n"    \
    CHANNEL("q2", "r0", "r8")        \
    CHANNEL("q3", "r2", "r10")       \
    CHANNEL("q2", "r4", "r12")       \
    CHANNEL("q3", "r6", "lr")
    __asm__("push  {r4-r11, lr}\n"
            "ldm   r0, {r4-r8}\n"
            "push  {r4-r8}\n"
            "mov   r9, r1\n"
            "mov   r11, r2\n"
            "mov   r5, r3\n"
            "1:\n"
            "ldrd  r1, r3, [sp]\n"
            "ldr   r7, [sp, #8]\n"
            "ldrd  r0, r2, [r9]\n"
            "ldrd  r4, r6, [r9, #8]\n"
            "ldrd  r8, r10, [r9, #64]\n"
            "ldrd  r12, lr, [r9, #72]\n"
            "add   r9, r9, #16\n"
            "lsrs  r7, r7, #1\n"
            "bcs   3f\n"
            "subs  r7, r7, #1\n"
            "2:\n" TAPS
            "3:\n" TAPS
            "subs  r7, r7, #1\n"
            "bpl   2b\n"
            "strd  r0, r2, [r11]\n"
            "strd  r4, r6, [r11, #8]\n"
            "strd  r8, r10, [r11, #64]\n"
            "strd  r12, lr, [r11, #72]\n"
            "add   r11, r11, #16\n"
            "ldrd  r0, r1, [sp, #12]\n"
            "add   r5, r5, r0\n"
            "cmp   r11, r1\n"
            "blo   1b\n"
            "add   sp, sp, #20\n"
            "pop   {r4-r11, pc}\n");
#undef TAPS
#undef CHANNEL
}

/* Bytes from .. from + n - 1 of the windows that begin x and x + step bytes into each row. */
static void lay_out(group *g, const int8_t *const *rows, uint32_t x, uint32_t step, uint32_t from, uint32_t n)
{
    const lg_conv *const layer = g->layer;
    int8_t *to = g->windows[0];
    uint32_t run = from / layer->run_bytes, skip = from % layer->run_bytes;
    rows += run / layer->runs * layer->row_step;
    for (run %= layer->runs; n > 0u; run = 0, rows += layer->row_step) {
        const int8_t *in = *rows + x + run * layer->run_step;
        for (; n > 0u && run < layer->runs; run++, in += layer->run_step, skip = 0) {
            const uint32_t left = layer->run_bytes - skip, count = left < n ? left : n;
            lg_mve_copy_two(to, to + sizeof g->windows[0], in + skip, in + skip + step, count);
            to += count;
            n -= count;
        }
    }
}

/* Adds bytes first .. first + n - 1 of windows a and b; n is a multiple of VECTOR unless the window ends there. */
static void multiply_piece(group *g, const int8_t *a, const int8_t *b, uint32_t first, uint32_t n)
{
    const uint32_t vectors = (n + VECTOR - 1u) / VECTOR, all = (g->bytes + VECTOR - 1u) / VECTOR;
    const pass p = {a, b, vectors, (all - vectors) * VECTOR * CHANNELS, g->sums[0] + g->channels};
    multiply(&p, first == 0u ? g->bias[0] : g->sums[0], g->sums[0], g->weights + first * CHANNELS);
}

/* Sums of the windows at x and `step` bytes later. */
static void sum_pair(group *g, const int8_t *const *rows, uint32_t x, uint32_t step)
{
    if (g->direct) {
        multiply_piece(g, *rows + x, *rows + x + step, 0, g->bytes);
        return;
    }
    for (uint32_t first = 0, n; first < g->bytes; first += n) {
        n = g->bytes - first < PIECE ? g->bytes - first : PIECE;
        lay_out(g, rows, x, step, first, n);
        multiply_piece(g, g->windows[0], g->windows[1], first, n);
    }
}

static void keep_larger(group *g)
{
    for (uint32_t c = 0; c < g->channels; c += CHANNELS) {
        const int32x4_t larger = vmaxq_s32(vldrwq_s32(g->sums[0] + c), vldrwq_s32(g->sums[1] + c));
        vstrwq_s32(g->best + c, vmaxq_s32(vldrwq_s32(g->best + c), larger));
    }
}

/* best: the largest sums of the windows of output pixel x. */
static void sum_pooled(group *g, const int8_t *const *rows, uint32_t x)
{
    const lg_conv *const layer = g->layer;
    for (uint32_t c = 0; c < g->channels; c += CHANNELS) {
        vstrwq_s32(g->best + c, vdupq_n_s32(INT32_MIN));
    }
    for (uint32_t px = 0; px < layer->pool_w; px += 2u) {
        const uint32_t at = (x * layer->pool_w + px) * layer->x_step;
        const uint32_t step = px + 1u < layer->pool_w ? layer->x_step : 0u;
        if (g->shared_rows > 0u) {
            lay_out(g, rows, at, step, 0, g->shared_rows * g->row_bytes);
        }
        for (uint32_t py = 0; py < layer->pool_h; py++) {
            if (g->shared_rows > 0u) {
                const uint32_t from = py * layer->y_step * g->row_bytes;
                multiply_piece(g, g->windows[0] + from, g->windows[1] + from, 0, g->bytes);
            } else {
                sum_pair(g, rows + py * layer->y_step, at, step);
            }
            keep_larger(g);
        }
    }
}

/* The group's channels of one pixel, all shifts below 0: lg_mve_requant_down. */
static void put(const group *g, const int32_t *sums, int8_t *out)
{
    const lg_conv *const layer = g->layer;
    const int32_t *multiplier = g->multiplier, *shift = g->shift;
    __asm__ volatile("vdup.32      q2, %5\n"
                     "vdup.32      q3, %6\n"
                     "wlstp.32     lr, %7, 2f\n"
                     "1:\n"
                     "vldrw.32     q0, [%0], #16\n"
                     "vldrw.32     q1, [%1], #16\n"
                     "vqrdmulh.s32 q0, q0, q1\n"
                     "vshr.s32     q1, q0, #31\n"
                     "vadd.i32     q0, q0, q1\n"
                     "vldrw.32     q1, [%2], #16\n"
                     "vrshl.s32    q0, q0, q1\n"
                     "vadd.i32     q0, q0, %4\n"
                     "vmax.s32     q0, q0, q2\n"
                     "vmin.s32     q0, q0, q3\n"
                     "vstrb.32     q0, [%3], #4\n"
                     "letp         lr, 1b\n"
                     "2:\n"
                     : "+r"(sums), "+r"(multiplier), "+r"(shift), "+r"(out)
                     : "r"((int32_t)layer->out_zero_point), "r"((int32_t)layer->act_min),
                       "r"((int32_t)layer->act_max), "r"(g->channels)
                     : "lr", "q0", "q1", "q2", "q3", "cc", "memory");
}

/* The same for any shift. */
static void put_any(const group *g, const int32_t *sums, int8_t *out)
{
    const lg_conv *const layer = g->layer;
    const int32x4_t low = vdupq_n_s32(layer->act_min), high = vdupq_n_s32(layer->act_max);
    for (uint32_t c = 0; c < g->channels; c += CHANNELS) {
        const int32x4_t sum = vldrwq_s32(sums + c);
        int32x4_t x = lg_mve_requant(sum, vldrwq_s32(g->multiplier + c), vldrwq_s32(g->shift + c));
        x = vminq_s32(vmaxq_s32(vaddq_n_s32(x, layer->out_zero_point), low), high);
        vstrbq_p_s32(out + c, x, vctp32q(g->channels - c));
    }
}

/* What the group needs of its channels; true: all shifts are below 0. */
static int prepare(group *g, const lg_channel *channels)
{
    const uint32x4_t words = vmulq_n_u32(vidupq_n_u32(0u, 1), sizeof *channels / sizeof(int32_t));
    int down = 1;
    for (uint32_t c = 0; c < g->channels; c += CHANNELS) {
        const int32_t *const of = &channels[c].bias;
        const mve_pred16_t exists = vctp32q(g->channels - c);
        const int32x4_t bias = vldrwq_gather_shifted_offset_z_s32(of, words, exists);
        const int32x4_t shift = vldrwq_gather_shifted_offset_z_s32(of + 2, words, exists);
        vstrwq_s32(g->bias[0] + c, bias);
        vstrwq_s32(g->bias[1] + c, bias);
        vstrwq_s32(g->multiplier + c, vldrwq_gather_shifted_offset_z_s32(of + 1, words, exists));
        vstrwq_s32(g->shift + c, shift);
        down = down && vcmpgeq_m_n_s32(shift, 0, exists) == 0u;
    }
    return down;
}

void lg_conv_row_mve(const lg_conv *layer, const int8_t *const *rows, int8_t *out)
{
    group g;
    g.layer = layer;
    g.row_bytes = (uint32_t)layer->runs * layer->run_bytes;
    g.bytes = layer->kernel_h * g.row_bytes;
    g.direct = layer->kernel_h == 1u && layer->runs == 1u && g.bytes % VECTOR == 0u;
    g.shared_rows = (layer->pool_h - 1u) * layer->y_step + layer->kernel_h;
    if (g.direct || layer->row_step > 1u || g.shared_rows * g.row_bytes > PIECE) {
        g.shared_rows = 0;
    }
    const uint32_t out_c = layer->out_c, out_w = layer->out_w;
    const uint32_t filter = (g.bytes + VECTOR - 1u) / VECTOR * VECTOR;
    for (uint32_t first = 0; first < out_c; first += MOST) {
        g.channels = out_c - first < MOST ? out_c - first : MOST;
        g.weights = (const int8_t *)layer->weights + first * filter;
        void (*const write)(const group *, const int32_t *, int8_t *) =
            prepare(&g, layer->channels + first) ? put : put_any;
        int8_t *at = out + first;
        if (layer->pool_h * layer->pool_w > 1) {
            for (uint32_t x = 0; x < out_w; x++, at += out_c) {
                sum_pooled(&g, rows, x);
                write(&g, g.best, at);
            }
            continue;
        }
        for (uint32_t x = 0; x < out_w; x += 2u, at += 2u * out_c) {
            sum_pair(&g, rows, x * layer->x_step, x + 1u < out_w ? layer->x_step : 0u);
            write(&g, g.sums[0], at);
            if (x + 1u < out_w) {
                write(&g, g.sums[1], at + out_c);
            }
        }
    }
}

#else
typedef int lg_conv_row_mve_empty;
#endif
