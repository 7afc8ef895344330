/* What can be told from the bytes of an image file without decoding: format, number of frames, whether its end is
 * there. Reads no byte beyond len, whatever the file claims. */
#ifndef MEDIA_SNIFF_H
#define MEDIA_SNIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum file_ending { ENDING_THERE, ENDING_MISSING, ENDING_UNKNOWN };

struct file_facts {
    enum file_ending ending;
    bool progressive; /* JPEG in several scans */
    int scans;        /* JPEG: scans begun */
    int frames;       /* APNG; 0: not told here */
    bool has_sides;   /* PNG with its header whole: width and height are as that says */
    uint32_t width, height;
    int rows;       /* GIF: of the first frame, as its header says; 0: not told here */
    int rows_there; /* GIF: those that there are data for */
};
/* format: as image_sniff gives it. */
struct file_facts file_facts(const char *format, const uint8_t *bytes, size_t len);

#endif
