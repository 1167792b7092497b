#ifdef __ARM_FEATURE_DSP
#include <arm_acle.h>
#include <string.h>
#endif

/* Signals are int8: value = scale * (cell - zero). */
typedef int8_t cell;
typedef int32_t total;

struct layer {
    int in, out;               /* channels */
    int kernel, stride;        /* in steps of time */
    int pool;                  /* how many steps are reduced to their greatest */
    int length, margin;        /* steps of the output, and of zero on either side of them */
    cell zero, low, high;      /* zero of the output, and what the output is clamped to */
    const cell *weight;        /* (out, kernel, in), or (kernel, channels) if each channel is convolved alone */
    const total *bias;         /* (out); takes the zero of the input into account */
    const int32_t *multiplier; /* (out); with the shift: scale of the totals over scale of the output */
    const int8_t *shift;       /* (out) */
    const float *scale;        /* (out); of the totals; for logits only */
};

struct sum {
    int cells;
    cell zero, low, high;
    cell zeros[2];
    int32_t multipliers[3];
    int8_t shifts[3];
};

/* x * multiplier * 2^(shift - 31), to the nearest integer, halves up: the single rounding of TensorFlow Lite. */
static int32_t requantise(int32_t x, int32_t multiplier, int shift)
{
    const int right = 31 - shift;

    return (int32_t)((x * (int64_t)multiplier + ((int64_t)1 << (right - 1))) >> right);
}

static cell clamp(int32_t x, int32_t low, int32_t high)
{
    return (cell)(x < low ? low : x > high ? high : x);
}

static cell quantise(float x, cell zero)
{
    x += x < 0 ? -0.5f : 0.5f;
    return clamp((int32_t)(x > -512 ? x < 512 ? x : 512 : -512) + zero, -128, 127);
}

static total dot(const cell *a, const cell *b, int count)
{
    total x = 0;

#ifdef __ARM_FEATURE_DSP /* the same sum, two products an instruction */
    for (; count >= 4; count -= 4, a += 4, b += 4) {
        uint32_t p, q;

        memcpy(&p, a, 4);
        memcpy(&q, b, 4);
        x = __smlad(__sxtb16(p), __sxtb16(q), x);
        x = __smlad(__sxtb16(p >> 8), __sxtb16(q >> 8), x);
    }
#endif
    for (int i = 0; i < count; i++)
        x += a[i] * b[i];
    return x;
}

static cell finish(const struct layer *layer, int channel, total x)
{
    x = requantise(x + layer->bias[channel], layer->multiplier[channel], layer->shift[channel]);
    return clamp(x + layer->zero, layer->low, layer->high);
}

static float logit(const struct layer *layer, int channel, total x)
{
    return (float)(x + layer->bias[channel]) * layer->scale[channel];
}

static inline void add(const struct sum *sum, const cell *a, const cell *b, cell *out)
{
    for (int i = 0; i < sum->cells; i++) {
        total x = requantise((a[i] - sum->zeros[0]) * (1 << 20), sum->multipliers[0], sum->shifts[0]);

        x += requantise((b[i] - sum->zeros[1]) * (1 << 20), sum->multipliers[1], sum->shifts[1]);
        x = requantise(x, sum->multipliers[2], sum->shifts[2]);
        out[i] = clamp(x + sum->zero, sum->low, sum->high);
    }
}
