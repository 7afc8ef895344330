/* Preprocessing on one core, in megapixels of the source a second; the resize takes turns with Pillow's on the same
 * pixels where /usr/bin/python3 has it, and the results must be equal: noise of 4000 x 3000 and, as _small,
 * of 1024 x 768. `preprocess FOLDER`, from the repository's root.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sha256.h"
#include "kernels/random.h"
#include "model/preprocess.h"
#include "tests/bench/bench.h"

enum { ROUNDS = 25, SIZE = 336 };

/* ---- Pillow: a child that resizes once for each byte it is sent ---- */

struct pillow {
    pid_t pid;
    FILE *to, *from;
};

static void pillow_start(struct pillow *p, const uint8_t *rgb, int width, int height)
{
    int to[2], from[2];
    char w[16], h[16], size[16];
    snprintf(w, sizeof w, "%d", width);
    snprintf(h, sizeof h, "%d", height);
    snprintf(size, sizeof size, "%d", SIZE);
    CHECK(pipe(to) == 0 && pipe(from) == 0);
    CHECK((p->pid = fork()) >= 0);
    if (p->pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        close(to[1]);
        close(from[0]);
        execl("/usr/bin/python3", "python3", "tests/bench/pillow.py", w, h, size, (char *)NULL);
        _exit(1);
    }
    close(to[0]);
    close(from[1]);
    CHECK((p->to = fdopen(to[1], "w")) && (p->from = fdopen(from[0], "r")));
    fwrite(rgb, 3, (size_t)width * (size_t)height, p->to);
    fflush(p->to);
}

/* Seconds of one turn and the result's digest, or 0: there is no Pillow. */
static double pillow_turn(struct pillow *p, char hex[SHA256_HEX])
{
    char line[256];
    double seconds = 0;
    fputc('.', p->to);
    fflush(p->to);
    if (fgets(line, sizeof line, p->from))
        CHECK(sscanf(line, "%lf %64s", &seconds, hex) == 2);
    return seconds;
}

static void pillow_stop(struct pillow *p)
{
    fclose(p->to);
    fclose(p->from);
    waitpid(p->pid, NULL, 0);
}

/* ---- the turns ---- */

static void write_rate(const char *folder, const char *part, const char *of, double pixels, double seconds,
                       double baseline)
{
    char name[64];
    snprintf(name, sizeof name, "cpu.%s%s", part, of);
    measure_write(
        folder, &(struct measure){name, "MP/s", pixels / seconds / 1e6, baseline > 0 ? pixels / baseline / 1e6 : 0, 0});
}

/* of: behind the measures' names. */
static void measure(const char *folder, const char *of, int width, int height)
{
    static const struct vision_config vision = {.image_size = SIZE, .mean = {0.5f, 0.5f, 0.5f}, .std = {1, 1, 1}};
    size_t n = (size_t)width * (size_t)height * 3;
    uint8_t *rgb = malloc(n), *out = malloc(SIZE * SIZE * 3), digest[SHA256_BYTES];
    float *pixels = malloc(SIZE * SIZE * 3 * sizeof *pixels);
    char own[SHA256_HEX], other[SHA256_HEX];
    double resize = 0, both = 0, pillow = 0;
    struct pillow p;
    CHECK(rgb && out && pixels);
    for (size_t i = 0; i < n; i++)
        rgb[i] = (uint8_t)random_bits(1, i);
    pillow_start(&p, rgb, width, height);
    for (int round = 0; round < ROUNDS; round++) {
        struct watch w = watch_start();
        CHECK(resize_bicubic(rgb, width, height, SIZE, out) == ST_OK);
        resize = less(resize, watch_seconds(&w, 1));
        double turn = pillow_turn(&p, other);
        if (turn > 0) {
            sha256_of(out, SIZE * SIZE * 3, digest);
            sha256_hex(digest, own);
            CHECK(strcmp(own, other) == 0);
            pillow = less(pillow, turn);
        }
        w = watch_start();
        CHECK(preprocess(rgb, width, height, &vision, pixels) == ST_OK);
        both = less(both, watch_seconds(&w, 1));
    }
    pillow_stop(&p);
    if (pillow == 0)
        puts("preprocess: no Pillow for /usr/bin/python3, so no baseline");
    write_rate(folder, "resize", of, (double)width * height, resize, pillow);
    write_rate(folder, "preprocess", of, (double)width * height, both, 0);
    free(pixels);
    free(out);
    free(rgb);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    signal(SIGPIPE, SIG_IGN);
    measure(argv[1], "_small", 1024, 768);
    measure(argv[1], "", 4000, 3000);
    return 0;
}
