/* $network in $precision, exported by tamis $version. */

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "$name.h"

#define SAMPLES ${NAME}_SAMPLES
#define CLASSES ${NAME}_CLASSES

$types
$kernels
$data
$buffers

/* Scale a frame as in training ($normalisation), and interleave I and Q. */
static void load(const float *iq, cell *out)
{
$gather
    scale = (scale > FLT_MIN ? scale : FLT_MIN) * $step;
    pad(out, 2 * $margin, 2 * SAMPLES, $zero);
    out += 2 * $margin;
    for (int i = 0; i < SAMPLES; i++) {
        *out++ = quantise(iq[i] / scale, $zero);
        *out++ = quantise(iq[SAMPLES + i] / scale, $zero);
    }
}

const char *const ${name}_classes[CLASSES] = {$classes};

int ${name}_classify(const float iq[2 * SAMPLES], float logits[CLASSES])
{
    int best = 0;

$calls
    for (int i = 1; i < CLASSES; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}
