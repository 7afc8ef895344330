/* Decoding JPEG on one core: media/image.h, from bytes to display pixels with all its checks and the digest of the
 * file, against libjpeg-turbo alone on the same bytes. Pictures are drawn and compressed here (quality 90, 4:2:0): 640
 * x 480, as in COCO, and, as _12mp, 4000 x 3000. `jpeg FOLDER`. */
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include "base/clock.h"
#include "kernels/random.h"
#include "media/image.h"
#include "tests/bench/bench.h"

enum { ROUNDS = 5, PIXELS_A_ROUND = 12000000, QUALITY = 90, CELL = 24 };

struct file {
    unsigned char *bytes;
    unsigned long len;
};

/* Smooth ground, cells of other colours, and grain: about the bytes a photograph of this size has. */
static void draw(unsigned char *rgb, int width, int height)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, rgb += 3) {
            uint64_t cell = random_bits(7, (uint64_t)(y / CELL) * 65536 + (uint64_t)(x / CELL));
            uint64_t grain = random_bits(9, (uint64_t)y * (uint64_t)width + (uint64_t)x);
            for (int c = 0; c < 3; c++)
                rgb[c] = (unsigned char)(60 + 60 * x / width + 40 * y / height + (int)(cell >> (8 * c) & 63) +
                                         (int)(grain & 15));
        }
}

static struct file compress(int width, int height)
{
    struct file f = {NULL, 0};
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    size_t row = (size_t)width * 3;
    unsigned char *rgb = malloc(row * (size_t)height);
    CHECK(rgb);
    draw(rgb, width, height);
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &f.bytes, &f.len);
    c.image_width = (JDIMENSION)width;
    c.image_height = (JDIMENSION)height;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, QUALITY, TRUE);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        JSAMPROW line = rgb + row * c.next_scanline;
        jpeg_write_scanlines(&c, &line, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    free(rgb);
    return f;
}

/* The caller frees the pixels. */
static unsigned char *decode_alone(const struct file *f)
{
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr errors;
    d.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&d);
    jpeg_mem_src(&d, f->bytes, f->len);
    CHECK(jpeg_read_header(&d, TRUE) == JPEG_HEADER_OK);
    jpeg_start_decompress(&d);
    unsigned char *rgb = malloc((size_t)d.output_width * 3 * d.output_height);
    CHECK(rgb);
    while (d.output_scanline < d.output_height) {
        JSAMPROW line = rgb + (size_t)d.output_width * 3 * d.output_scanline;
        jpeg_read_scanlines(&d, &line, 1);
    }
    jpeg_finish_decompress(&d);
    jpeg_destroy_decompress(&d);
    return rgb;
}

static struct image decode(const struct file *f)
{
    const struct image_policy policy = image_policy_default(IMAGE_POLICY_DEFAULT);
    struct image image;
    CHECK(image_decode(f->bytes, f->len, &policy, &image, NULL, NULL) == ST_OK);
    return image;
}

static void expect_same_pixels(const struct file *f)
{
    struct image image = decode(f);
    unsigned char *rgb = decode_alone(f);
    CHECK(memcmp(image.rgb, rgb, (size_t)image.width * (size_t)image.height * 3) == 0);
    free(rgb);
    image_fini(&image);
}

static void measure(const char *folder, const char *name, int width, int height)
{
    struct file f = compress(width, height);
    size_t pixels = (size_t)width * (size_t)height;
    int repeats = PIXELS_A_ROUND / (int)pixels;
    double ours = 0, alone = 0;
    expect_same_pixels(&f);
    for (int round = 0; round < ROUNDS; round++) {
        struct watch w = watch_start();
        for (int i = 0; i < repeats; i++)
            free(decode_alone(&f));
        alone = less(alone, watch_seconds(&w, 1));
        w = watch_start();
        for (int i = 0; i < repeats; i++) {
            struct image image = decode(&f);
            image_fini(&image);
        }
        ours = less(ours, watch_seconds(&w, 1));
    }
    double all = (double)pixels * repeats;
    measure_write(folder, &(struct measure){name, "MP/s", all / ours / 1e6, all / alone / 1e6, 0});
    free(f.bytes);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1 && image_library_start("bench", NULL) == ST_OK);
    measure(argv[1], "cpu.jpeg", 640, 480);
    measure(argv[1], "cpu.jpeg_12mp", 4000, 3000);
    return 0;
}
