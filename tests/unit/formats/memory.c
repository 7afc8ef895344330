/* Manifests and data sets of any length are read, and their ids kept apart, in flat memory. ROWS=5000000 in the
 * environment: as many rows; what was used is told with --verbose. */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/read/inputs.h"
#include "formats/read/repeats.h"
#include "scratch.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
enum { ROWS = 20000, MOST_KIB = 512 << 10 }; /* what was freed is kept for a while, with its surroundings */
#else
enum { ROWS = 150000, MOST_KIB = 40 << 10 };
#endif

TestSuite(memory, .timeout = 1800);

static long rows(void)
{
    const char *asked = getenv("ROWS");
    return asked ? strtol(asked, NULL, 10) : ROWS;
}

/* Of /proc/self/status, in KiB. */
static long resident(const char *what)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    cr_assert(f);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, what, strlen(what)) == 0)
            kib = strtol(line + strlen(what) + 1, NULL, 10);
    fclose(f);
    return kib;
}

static struct job *new_job(const char *id)
{
    struct json *v = NULL;
    struct job *job = NULL;
    char text[128];
    int n = snprintf(text, sizeof text, "{\"id\": \"%s\", \"image\": \"x\", \"task\": \"caption\"}", id);
    cr_assert_eq(jsn_parse(text, (size_t)n, "job", &v, NULL), ST_OK);
    cr_assert_eq(job_from_json(v, NULL, &job, NULL), ST_OK);
    jsn_free(v);
    return job;
}

static void read_all(const char *path, enum task_kind kind, long want)
{
    struct job *job = new_job("any");
    struct inputs *in;
    long n = 0, before = resident("VmRSS:");
    job->tasks[0].kind = kind;
    cr_assert_eq(inputs_open(&(struct inputs_options){.paths = &path, .n_paths = 1, .defaults = job}, &in, NULL),
                 ST_OK);
    for (struct input i = {0}; inputs_next(in, &i, NULL) == ST_OK; n++) {
        cr_assert(!i.error, "%s", i.message);
        input_fini(&i);
    }
    inputs_close(in);
    job_free(job);
    long used = resident("VmHWM:") - before;
    cr_log_info("%s: %ld inputs, %ld KiB more at its height\n", path, n, used);
    cr_expect_eq(n, want);
    cr_expect_lt(used, MOST_KIB, "%ld KiB", used);
}

static FILE *create(const char **path, const char *name)
{
    FILE *f = fopen(*path = scratch_path(name), "w");
    cr_assert(f);
    return f;
}

Test(memory, a_long_manifest)
{
    const char *path;
    long n = rows();
    FILE *f = create(&path, "long.jsonl");
    for (long i = 0; i < n; i++)
        fprintf(f, "{\"id\": \"row-%ld\", \"image\": \"https://example.org/images/%ld.jpg\"}\n", i, i);
    fclose(f);
    read_all(path, TASK_CAPTION, n);
}

static void add_id(struct repeats *r, struct job *job, long line)
{
    struct input input = {.job = job, .manifest = "m.jsonl", .line = (uint64_t)line + 1};
    enum repeat repeat;
    char *place = NULL;
    snprintf(job->key, strlen(job->key) + 1, "%012ld", line);
    cr_assert_eq(repeats_add(r, &input, &repeat, &place, NULL), ST_OK);
    cr_assert_eq(repeat, REPEAT_NONE, "line %ld", line);
}

Test(memory, ids_of_a_long_run)
{
    enum { FIRST = 10000, ID_MOST_KIB = MOST_KIB / 8 };
    struct job *job = new_job("000000000000");
    struct repeats *r = NULL;
    long n = rows();
    cr_assert_eq(repeats_new(&r), ST_OK);
    for (long i = 0; i < FIRST; i++)
        add_id(r, job, i);
    long before = resident("VmRSS:");
    for (long i = FIRST; i < n; i++)
        add_id(r, job, i);
    long used = resident("VmHWM:") - before;
    cr_log_info("%ld ids, %ld KiB more at its height than with %d\n", n, used, FIRST);
    cr_expect_lt(used, ID_MOST_KIB, "%ld KiB", used);
    repeats_free(r);
    job_free(job);
}

Test(memory, a_data_set_with_many_annotations)
{
    enum { AN_IMAGE = 5 };
    const char *path;
    long images = rows() / AN_IMAGE;
    FILE *f = create(&path, "coco.json");
    fputs("{\"annotations\": [", f);
    for (long i = 0; i < images * AN_IMAGE; i++) /* an image's lie far from each other */
        fprintf(f,
                "%s\n{\"id\": %ld, \"image_id\": %ld, \"category_id\": 3, \"bbox\": [%ld.25, 10, 20.5, 30], "
                "\"segmentation\": [[1, 2, 3, 4, 5, 6, 7, 8]], \"area\": 615.0, \"iscrowd\": 0}",
                i ? "," : "", i, i % images, i % 100);
    fputs("], \"images\": [", f);
    for (long i = 0; i < images; i++)
        fprintf(f, "%s\n{\"id\": %ld, \"file_name\": \"https://example.org/%012ld.jpg\"}", i ? "," : "", i, i);
    fputs("]}", f);
    fclose(f);
    read_all(path, TASK_DESCRIBE, images);
}
