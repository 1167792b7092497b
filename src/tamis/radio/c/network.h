/* $network in $precision, exported by tamis $version. */

#ifndef ${NAME}_H
#define ${NAME}_H

#ifdef __cplusplus
extern "C" {
#endif

#define ${NAME}_SAMPLES $samples
#define ${NAME}_CLASSES $count

extern const char *const ${name}_classes[${NAME}_CLASSES];

/* Classify a frame of any scale: I of all samples, then Q. Returns the class of the greatest logit.
   It works in static buffers: call it from one thread at a time. */
int ${name}_classify(const float iq[2 * ${NAME}_SAMPLES], float logits[${NAME}_CLASSES]);

#ifdef __cplusplus
}
#endif

#endif
