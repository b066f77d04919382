#include <string.h>

#include "lg_nn.h"

void lg_pad_s8_row(const lg_pad_layer *layer, const int8_t *in_row, int32_t out_y, int8_t *out_row)
{
    memset(out_row, layer->value, (size_t)layer->out_w * layer->out_c);
    if (out_y < layer->top || out_y >= layer->top + layer->in_h) {
        return;
    }
    for (int32_t x = 0; x < layer->in_w; x++) {
        int8_t *pixel = out_row + (layer->left + x) * layer->out_c + layer->front;
        memcpy(pixel, in_row + x * layer->in_c, layer->in_c);
    }
}

void lg_pad_s8(const lg_pad_layer *layer, const int8_t *in, int8_t *out)
{
    for (int32_t y = 0; y < layer->out_h; y++) {
        const int32_t in_y = y < layer->top || y >= layer->top + layer->in_h ? 0 : y - layer->top;
        lg_pad_s8_row(layer, in + in_y * layer->in_w * layer->in_c, y, out + y * layer->out_w * layer->out_c);
    }
}
