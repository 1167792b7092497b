/* Classify the frames of a file: float32 of this machine's byte order, I of all samples and then Q, frame after frame.
   A line a frame on stdout: class and logits, separated by tabs. On stderr: frames, and ticks of clock() for each. */

#include <stdio.h>
#include <time.h>

#include "$name.h"

int main(int argc, char **argv)
{
    static float iq[2 * ${NAME}_SAMPLES], logits[${NAME}_CLASSES];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    unsigned long frames = 0;
    size_t got = 0;
    clock_t ticks = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: $name FILE: a file of frames of %d samples as float32, I then Q\n", ${NAME}_SAMPLES);
        return 2;
    }
    while (file && (got = fread(iq, 1, sizeof iq, file)) == sizeof iq) {
        const clock_t start = clock();
        const int best = ${name}_classify(iq, logits);

        ticks += clock() - start;
        frames++;
        printf("%s", ${name}_classes[best]);
        for (int i = 0; i < ${NAME}_CLASSES; i++)
            printf("\t%.9g", (double)logits[i]);
        printf("\n");
    }
    if (!file || ferror(file)) {
        fprintf(stderr, "$name: %s: cannot be read\n", argv[1]);
        return 2;
    }
    fclose(file);
    if (got) {
        fprintf(stderr, "$name: %s: ends within frame %lu\n", argv[1], frames);
        return 2;
    }
    fprintf(stderr, "%lu frames, %.1f ticks each\n", frames, frames ? (double)ticks / (double)frames : 0.0);
    return 0;
}
