/* SPDX-License-Identifier: Apache-2.0 */
/* SOFTMAX as TFLite computes it: table[255 - d] = exp(-scale * d), d = maximum - value; sum, quotient and product
 * in float, the result rounded half up and stored as int8 of scale 1/256, zero point -128. */
static void softmax(const float *table, const int8_t *in, uint32_t n, int8_t *out)
{
    int32_t maximum = -128;
    for (uint32_t i = 0; i < n; i++) {
        maximum = in[i] > maximum ? in[i] : maximum;
    }
    float sum = 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        sum += table[255 - maximum + in[i]];
    }
    const float factor = 1.0f / (sum * (1.0f / 256.0f));
    for (uint32_t i = 0; i < n; i++) {
        const float product = table[255 - maximum + in[i]] * factor;
        const int32_t whole = (int32_t)product;
        const int32_t rounded = whole + (product - (float)whole >= 0.5f ? 1 : 0);
        out[i] = (int8_t)(rounded > 255 ? 127 : rounded - 128);
    }
}
