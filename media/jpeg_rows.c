#include <stdlib.h>
#include <string.h>

#include "media/decode.h"

enum { TAIL_ROWS = 32 }; /* a JPEG's last rows of blocks, with one that its decoder reads ahead */

/* All scans are read before the first row is made, and a row is what all of them gave it. */
static bool has_layers(const struct decode *d)
{
    return d->facts.progressive || (d->facts.scans > 1 && d->damaged_at == 0);
}

bool jpeg_goes_on(struct decode *d, int y)
{
    if (d->heard != JPEG_NOTHING || strcmp(d->image.format, "jpeg") != 0)
        return true;
    d->heard = jpeg_heard(vips_error_buffer());
    d->damaged_at = y;
    return !jpeg_is_damage(d->heard) || has_layers(d) || d->image.stored_height - y <= TAIL_ROWS;
}

/* A decoder that has said a harmless word keeps later ones to itself, so they are asked for with a copy that gives no
 * cause for the first. */
static void hear_again(struct decode *d)
{
    struct diag unread;
    struct decode again = {.policy = d->policy, .facts = d->facts, .image = d->image, .why = &unread};
    uint8_t *copy = jpeg_plain(d->bytes, d->len, &again.len);
    again.bytes = copy;
    if (copy && loader_open(&again, VIPS_FAIL_ON_ERROR) == ST_OK &&
        vips_image_get_height(again.file) == again.image.stored_height) {
        again.samples = g_object_ref(again.file);
        (void)decode_read_rows(&again, NULL);
    }
    if (jpeg_is_damage(again.heard)) {
        d->heard = again.heard;
        d->damaged_at = again.damaged_at;
    }
    decode_close(&again);
    free(copy);
}

/* In several scans: the rows that any of them reached, with less detail. Where the data end within the last pixels,
 * nothing that anybody sees is missing. */
static int in_front_of_damage(struct decode *d, const uint8_t *rgb, int rows)
{
    size_t width = (size_t)d->image.stored_width;
    if (has_layers(d)) {
        d->image.notes |= IMAGE_NOTE_TRUNCATED;
        while (rows > 0 && jpeg_made_up(rgb + ((size_t)rows - 1) * width * 3, width))
            rows--;
        return rows;
    }
    bool whole = rows == d->image.stored_height && d->heard == JPEG_BREAKS_OFF && rows - d->damaged_at <= TAIL_ROWS &&
                 !jpeg_made_up(rgb + ((size_t)rows * width - 1) * 3, 1);
    return whole || rows < d->damaged_at ? rows : d->damaged_at;
}

int jpeg_sound_rows(struct decode *d, const uint8_t *rgb, int rows)
{
    if (d->heard == JPEG_HARMLESS)
        hear_again(d);
    return jpeg_is_damage(d->heard) ? in_front_of_damage(d, rgb, rows) : rows;
}
