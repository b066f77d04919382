/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D on any core: one channel after the other, three of its pixels at a time. */
#include "lg_depthwise.h"
#include "lg_v6m.h"

typedef struct {
    const lg_depthwise *layer;
    const int8_t *const *rows;
    uint32_t out_c;
} task;

typedef struct {
    int32_t s0, s1, s2;
} sums;

/* Sums of the windows that begin at byte `at` of the rows, and x1 and x2 bytes further. */
static sums three_windows(const task *t, const int8_t *taps, uint32_t at, uint32_t x1, uint32_t x2)
{
    const lg_depthwise *l = t->layer;
    const uint32_t step = l->tap_step, row_step = l->row_step, next = t->out_c, width = l->kernel_w;
    const int8_t *const *row = t->rows;
    sums s = {0, 0, 0};
    for (uint32_t ky = l->kernel_h; ky > 0u; ky--) {
        const int8_t *in = *row + at;
        row += row_step;
        for (uint32_t kx = width; kx > 0u; kx--) {
            const int32_t weight = *taps;
            s.s0 += in[0] * weight;
            s.s1 += in[x1] * weight;
            s.s2 += in[x2] * weight;
            in += step;
            taps += next;
        }
    }
    return s;
}

typedef struct {
    int32_t bias, multiplier, shift, zero_point, low, high;
} scaling;

static __attribute__((noinline)) int8_t output(const scaling *to, int32_t sum)
{
    const int32_t scaled = lg_requant_double(sum + to->bias, to->multiplier, to->shift);
    return lg_output_s8(scaled, to->zero_point, to->low, to->high);
}

static void channel_row(const task *t, const int8_t *taps, const lg_channel *c, uint32_t at, int8_t *out)
{
    const lg_depthwise *l = t->layer;
    const scaling to = {c->bias, c->multiplier, c->shift, l->out_zero_point, l->act_min, l->act_max};
    const uint32_t step = l->x_step, next = t->out_c;
    uint32_t left = l->out_w;
    for (; left > 2u; left -= 3u) {
        const sums s = three_windows(t, taps, at, step, 2u * step);
        out[0] = output(&to, s.s0);
        out[next] = output(&to, s.s1);
        out[2u * next] = output(&to, s.s2);
        out += 3u * next;
        at += 3u * step;
    }
    if (left > 0u) {
        const uint32_t x1 = left > 1u ? step : 0u;
        const sums s = three_windows(t, taps, at, x1, x1);
        out[0] = output(&to, s.s0);
        if (left > 1u) {
            out[next] = output(&to, s.s1);
        }
    }
}

#ifdef LG_V6M

/* Three outputs of a channel. Where fewer are left, the others are made in the first one's place before it. */
typedef struct {
    const int8_t *const *rows;
    uint32_t row_bytes, kernel_h;    /* of pointers from a kernel row to the next */
    uint32_t at, x1, x2;             /* byte 12 */
    const int8_t *taps;              /* byte 24 */
    uint32_t next, step, width;      /* byte 28: from tap to tap; from input to input; of a kernel row */
    int32_t bias, multiplier, right; /* byte 40 */
    int32_t zero_point, low, high;   /* byte 52 */
    int8_t *out;                     /* byte 64 */
    uint32_t out1, out2;
} triple;

/* clang-format off */
#define OUTPUT(sum, label)              \
    "ldr  r0, [r7, #40]\n"              \
    "add  r0, " sum "\n"                \
    LG_V6M_OUTPUT("56", label)          \
    "ldr  r4, [r7, #64]\n"

__attribute__((naked, noinline)) static void put_three(__attribute__((unused)) const triple *t)
{
    /* Inputs at r0, taps at r1, the end of the kernel row in r7; sums in r8, r10 and r9. */
    __asm__(".syntax unified\n"
            "push  {r4-r7, lr}\n"
            "mov   r4, r8\nmov r5, r9\nmov r6, r10\nmov r7, r11\n"
            "push  {r0, r4-r7}\n"
            "ldr   r5, [r0]\n"
            "ldr   r6, [r0, #8]\n"
            "push  {r5, r6}\n"
            "ldr   r1, [r0, #24]\n"
            "ldr   r2, [r0, #16]\n"
            "ldr   r3, [r0, #20]\n"
            "ldr   r5, [r0, #28]\n"
            "ldr   r6, [r0, #32]\n"
            "mov   r12, r5\n"
            "mov   r11, r6\n"
            "movs  r4, #0\n"
            "mov   r8, r4\n"
            "mov   r9, r4\n"
            "mov   r10, r4\n"
            "1:\n"
            "ldr   r7, [sp, #8]\n"
            "ldr   r5, [sp]\n"
            "ldr   r6, [r7, #4]\n"
            "ldr   r0, [r5]\n"
            "adds  r5, r5, r6\n"
            "str   r5, [sp]\n"
            "ldr   r6, [r7, #12]\n"
            "adds  r0, r0, r6\n"
            "ldr   r7, [r7, #36]\n"
            "adds  r7, r7, r0\n"
            "2:\n"
            "ldrsb r5, [r1, r4]\n"
            "ldrsb r6, [r0, r4]\n"
            "muls  r6, r5\n"
            "add   r8, r6\n"
            "ldrsb r6, [r0, r2]\n"
            "muls  r6, r5\n"
            "add   r10, r6\n"
            "ldrsb r6, [r0, r3]\n"
            "muls  r6, r5\n"
            "add   r9, r6\n"
            "add   r0, r11\n"
            "add   r1, r12\n"
            "cmp   r0, r7\n"
            "bne   2b\n"
            "ldr   r5, [sp, #4]\n"
            "subs  r5, #1\n"
            "str   r5, [sp, #4]\n"
            "bne   1b\n"
            "pop   {r5, r6, r7}\n"
            "ldr   r2, [r7, #44]\n"
            "uxth  r1, r2\n"
            "lsrs  r2, r2, #16\n"
            "ldr   r3, [r7, #48]\n"
            "mov   r11, r8\n"
            "mov   r12, r9\n"
            "movs  r4, #1\n"
            "lsls  r4, r4, #14\n"
            "mov   r8, r4\n"
            "ldr   r4, [r7, #52]\n"
            "mov   r9, r4\n"
            OUTPUT("r12", "1")
            "ldr   r5, [r7, #72]\n"
            "strb  r0, [r4, r5]\n"
            OUTPUT("r10", "2")
            "ldr   r5, [r7, #68]\n"
            "strb  r0, [r4, r5]\n"
            OUTPUT("r11", "3")
            "strb  r0, [r4]\n"
            "pop   {r4-r7}\n"
            "mov   r8, r4\nmov r9, r5\nmov r10, r6\nmov r11, r7\n"
            "pop   {r4-r7, pc}\n");
}
/* clang-format on */
#undef OUTPUT

/* A row of one channel, with what `all` has of it. */
static void triples_row(triple *all, const lg_depthwise *l, uint32_t at, int8_t *out)
{
    const uint32_t step = l->x_step, next = all->next;
    all->at = at;
    all->out = out;
    all->x1 = step;
    all->x2 = 2u * step;
    all->out1 = next;
    all->out2 = 2u * next;
    uint32_t left = l->out_w;
    for (; left > 2u; left -= 3u) {
        put_three(all);
        all->at += 3u * step;
        all->out += 3u * next;
    }
    if (left > 0u) {
        all->x1 = all->x2 = left > 1u ? step : 0u;
        all->out1 = all->out2 = left > 1u ? next : 0u;
        put_three(all);
    }
}

void lg_depthwise_row(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out)
{
    const task t = {layer, rows, (uint32_t)layer->in_c * layer->multiplier};
    triple all = {.rows = rows,
                  .row_bytes = layer->row_step * sizeof *rows,
                  .kernel_h = layer->kernel_h,
                  .taps = layer->weights,
                  .next = t.out_c,
                  .step = layer->tap_step,
                  .width = (uint32_t)layer->kernel_w * layer->tap_step,
                  .zero_point = layer->out_zero_point,
                  .low = layer->act_min,
                  .high = layer->act_max};
    const lg_channel *channel = layer->channels;
    for (uint32_t in = 0; in < layer->in_c; in++) {
        for (uint32_t m = layer->multiplier; m > 0u; m--, channel++, out++, all.taps++) {
            all.bias = channel->bias;
            all.multiplier = channel->multiplier;
            all.right = -channel->shift;
            if (all.right > 0) {
                triples_row(&all, layer, in, out);
            } else {
                channel_row(&t, all.taps, channel, in, out);
            }
        }
    }
}

#else

void lg_depthwise_row(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out)
{
    const task t = {layer, rows, (uint32_t)layer->in_c * layer->multiplier};
    const int8_t *taps = layer->weights;
    const lg_channel *channel = layer->channels;
    for (uint32_t in = 0; in < layer->in_c; in++) {
        for (uint32_t m = layer->multiplier; m > 0u; m--) {
            channel_row(&t, taps++, channel++, in, out++);
        }
    }
}

#endif
