/* How much of a GIF's first frame is there, told by walking its codes without making pixels of them. Inside of media;
 * reads no byte beyond len. */
#ifndef MEDIA_GIF_H
#define MEDIA_GIF_H

#include <stddef.h>
#include <stdint.h>

/* *rows: as the frame's own header says; 0: there is no frame, or its codes can't be told. Returns the rows for which
 * there are pixels, at most *rows; of an interlaced frame their number, wherever they lie. */
int gif_rows(const uint8_t *bytes, size_t len, int *rows);

#endif
