/* Signals are (time, channels), channels last, with `margin` steps of zero before and after. */

static void pad(cell *signal, int margin, int length, cell zero)
{
    for (int i = 0; i < margin; i++)
        signal[i] = signal[margin + length + i] = zero;
}

static void convolve(const struct layer *layer, const cell *in, cell *out)
{
    const int window = layer->kernel * layer->in, step = layer->stride * layer->in;

    pad(out, layer->margin * layer->out, layer->length * layer->out, layer->zero);
    out += layer->margin * layer->out;
    for (int time = 0; time < layer->length; time++, in += layer->pool * step)
        for (int channel = 0; channel < layer->out; channel++) {
            const cell *weight = layer->weight + channel * window;
            total most = dot(in, weight, window);

            for (int i = 1; i < layer->pool; i++) {
                const total x = dot(in + i * step, weight, window);

                most = x > most ? x : most;
            }
            *out++ = finish(layer, channel, most);
        }
}

static inline void convolve_alone(const struct layer *layer, const cell *in, cell *out)
{
    pad(out, layer->margin * layer->out, layer->length * layer->out, layer->zero);
    out += layer->margin * layer->out;
    for (int time = 0; time < layer->length; time++, in += layer->stride * layer->in)
        for (int channel = 0; channel < layer->out; channel++) {
            total x = 0;

            for (int i = channel; i < layer->kernel * layer->in; i += layer->in)
                x += in[i] * layer->weight[i];
            *out++ = finish(layer, channel, x);
        }
}

static void average(const struct layer *layer, const cell *in, cell *out)
{
    for (int channel = 0; channel < layer->out; channel++) {
        total x = 0;

        for (int time = 0; time < layer->kernel; time++)
            x += in[time * layer->in + channel];
        out[channel] = finish(layer, channel, x);
    }
}

static void read_logits(const struct layer *layer, const cell *in, float *logits)
{
    for (int channel = 0; channel < layer->out; channel++) {
        const total x = dot(in, layer->weight + channel * layer->in, layer->in);

        logits[channel] = logit(layer, channel, x);
    }
}
