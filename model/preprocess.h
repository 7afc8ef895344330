/* Display pixels -> what the vision tower reads: Pillow's 8-bit bicubic, bit for bit (spec 2), then normalised f32.
 * Thread-safe, no state. */
#ifndef MODEL_PREPROCESS_H
#define MODEL_PREPROCESS_H

#include <stdint.h>

#include "base/status.h"
#include "model/config.h"

/* rgb [height][width][3] -> out [size][size][3]. Horizontal pass first; a pass whose size is unchanged is skipped. */
MUST_CHECK enum status resize_bicubic(const uint8_t *rgb, int width, int height, int size, uint8_t *out);
/* u8 [size][size][3] -> pixels [3][size][size]: float(u8 * (1.0 / 255)), then (v - mean) / std in f32. */
void normalise_pixels(const uint8_t *u8, int size, const float mean[3], const float std[3], float *pixels);
/* Both; pixels holds 3 * image_size^2 floats. */
MUST_CHECK enum status preprocess(const uint8_t *rgb, int width, int height, const struct vision_config *v,
                                  float *pixels);

#endif
