/* Signals are float. */
typedef float cell;
typedef float total;

struct layer {
    int in, out;          /* channels */
    int kernel, stride;   /* in steps of time */
    int pool;             /* how many steps are reduced to their greatest */
    int length, margin;   /* steps of the output, and of zero on either side of them */
    cell zero, low, high; /* zero of the output, and what the output is clamped to */
    const cell *weight;   /* (out, kernel, in), or (kernel, channels) if each channel is convolved alone */
    const total *bias;    /* (out) */
    float scale;          /* of the totals */
};

struct sum {
    int cells;
};

static cell quantise(float x, cell zero)
{
    return x + zero;
}

static total dot(const cell *a, const cell *b, int count)
{
    total x = 0;

    for (int i = 0; i < count; i++)
        x += a[i] * b[i];
    return x;
}

static cell finish(const struct layer *layer, int channel, total x)
{
    x = (x + layer->bias[channel]) * layer->scale;
    return x < layer->low ? layer->low : x > layer->high ? layer->high : x;
}

static float logit(const struct layer *layer, int channel, total x)
{
    return (x + layer->bias[channel]) * layer->scale;
}

static inline void add(const struct sum *sum, const cell *a, const cell *b, cell *out)
{
    for (int i = 0; i < sum->cells; i++)
        out[i] = a[i] + b[i];
}
