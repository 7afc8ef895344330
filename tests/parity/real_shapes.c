/* Opens, checks, hashes and samples a checkpoint that sparse_checkpoint wrote, alone and over its base, and converts it
 * where an output is named; fails where that takes more memory than it may. Prints one line a step.
 *   real_shapes MAX_MIB DIR [OUT f32|f16|bf16|int8]
 * or runs a program in that memory and says what it took:
 *   real_shapes MAX_MIB run PROGRAM ARGUMENT... */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "model/checkpoint_check.h"
#include "model/convert.h"
#include "model/mapped_file.h"
#include "model/tensor_list.h"

static double peak_mib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

static enum status sample_rows(const struct checkpoint *c, int64_t *elements, struct diag *why)
{
    float *row = malloc((1 << 20) * sizeof *row);
    enum status s = row ? ST_OK : ST_NOMEM;
    for (size_t i = 0; i < checkpoint_count(c) && s == ST_OK; i++) {
        const struct tensor *t = checkpoint_at(c, i);
        if (checkpoint_ignores(t->name))
            continue;
        *elements += tensor_elements(t->dims, t->n_dims);
        s = checkpoint_rows(c, t, (t->n_dims ? t->dims[0] : 1) - 1, 1, row, why);
        checkpoint_release(c, t);
    }
    free(row);
    return s;
}

static enum status check(const char *label, const char *dir, const char *base, const char *tower, struct diag *why)
{
    int64_t start = clock_ms(), elements = 0;
    struct config *config = NULL;
    struct checkpoint *c = NULL, *t = NULL;
    char hash[65] = "";
    enum status s = config_load(dir, tower, &config, why);
    if (s == ST_OK)
        s = checkpoint_open(dir, base, &c, why);
    if (s == ST_OK)
        s = checkpoint_open(config->tower_dir, NULL, &t, why);
    if (s == ST_OK)
        s = checkpoint_check(c, t, config, why);
    if (s == ST_OK)
        s = sample_rows(c, &elements, why);
    if (s == ST_OK)
        s = sample_rows(t, &elements, why);
    if (s == ST_OK)
        s = checkpoint_hash(c, t, hash, why);
    if (s == ST_OK)
        printf("%s: %lld parameters, hash %.8s, %lld ms, peak %.0f MiB\n", label, (long long)elements, hash,
               (long long)(clock_ms() - start), peak_mib());
    checkpoint_close(c);
    checkpoint_close(t);
    config_free(config);
    return s;
}

static enum status convert(const char *ferret, const char *base, const char *clip, const char *out, const char *dtype,
                           struct diag *why)
{
    struct convert_options o = {.model_dir = ferret, .base_dir = base, .tower_dir = clip, .out_dir = out};
    int64_t start = clock_ms();
    enum status s = convert_dtype_parse(dtype, &o.dtype, why);
    if (s == ST_OK)
        s = convert_run(&o, why);
    if (s == ST_OK)
        printf("converted to %s: %.1f s, peak %.0f MiB\n", dtype, (double)(clock_ms() - start) / 1000, peak_mib());
    return s == ST_OK ? check("converted", out, NULL, NULL, why) : s;
}

/* 0: it ended well and within max_mib. Says so on stderr: stdout is the program's. */
static int run(double max_mib, char **argv)
{
    int64_t start = clock_ms();
    pid_t child = fork();
    if (child == 0) {
        execv(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    int code = 0;
    struct rusage usage;
    while (child > 0 && wait4(child, &code, 0, &usage) < 0 && errno == EINTR)
        ;
    if (child < 0 || !WIFEXITED(code) || WEXITSTATUS(code) != 0) {
        fprintf(stderr, "%s: did not end well (%d)\n", argv[0], code);
        return 1;
    }
    double mib = (double)usage.ru_maxrss / 1024;
    fprintf(stderr, "%s: %.1f s, peak %.0f MiB, at most %.0f may be used\n", argv[1],
            (double)(clock_ms() - start) / 1000, mib, max_mib);
    return mib > max_mib;
}

int main(int argc, char **argv)
{
    if (argc > 4 && strcmp(argv[2], "run") == 0)
        return run(strtod(argv[1], NULL), argv + 3);
    char ferret[MAX_PATH_BYTES], base[MAX_PATH_BYTES], clip[MAX_PATH_BYTES];
    struct diag why = {"no memory"};
    if (argc != 3 && argc != 5) {
        fprintf(stderr, "usage: %s MAX_MIB DIR [OUT DTYPE] | MAX_MIB run PROGRAM ARGUMENT...\n", argv[0]);
        return 2;
    }
    enum status s = path_join(ferret, argv[2], "ferret", &why);
    if (s == ST_OK)
        s = path_join(base, argv[2], "base", &why);
    if (s == ST_OK)
        s = path_join(clip, argv[2], "clip", &why);
    if (s == ST_OK)
        s = check("alone", ferret, NULL, clip, &why);
    if (s == ST_OK)
        s = check("over its base", ferret, base, clip, &why);
    if (s == ST_OK && argc == 5)
        s = convert(ferret, base, clip, argv[3], argv[4], &why);
    if (s != ST_OK)
        fprintf(stderr, "%s: %s\n", status_word(s), why.text);
    else if (peak_mib() > strtod(argv[1], NULL))
        fprintf(stderr, "peak %.0f MiB, at most %s may be used\n", peak_mib(), argv[1]);
    return s != ST_OK || peak_mib() > strtod(argv[1], NULL);
}
