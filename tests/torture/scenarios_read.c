/* Scenarios of formats/read and of what fetches without a network. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/read/inputs.h"
#include "media/cache.h"
#include "tests/torture/scenarios.h"

/* Files in a folder of their own, made once and removed when the program ends. */
static char folder[64];

static void clean(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", folder);
}

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

static bool make_files(void)
{
    char command[160];
    if (folder[0])
        return true;
    snprintf(folder, sizeof folder, "/tmp/torture-XXXXXX");
    if (!mkdtemp(folder))
        return false;
    atexit(clean);
    write_file("1.jpg", "x");
    write_file("coco.json", "{\"images\": [{\"id\": 1, \"file_name\": \"1.jpg\"}], \"annotations\": [{\"id\": 2, "
                            "\"image_id\": 1, \"bbox\": [1, 2, 3, 4], \"segmentation\": [[1, 2, 3]]}]}");
    write_file("regions.json", "[{\"id\": 1, \"regions\": [{\"region_id\": 3, \"x\": 1, \"y\": 2, \"width\": 3, "
                               "\"height\": 4, \"phrase\": \"a clock\"}]}]");
    write_file("batch.jsonl",
               "{\"custom_id\": \"a\", \"body\": {\"model\": \"m\", \"seed\": 1, \"messages\": [{\"role\": "
               "\"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": [{\"type\": "
               "\"text\", \"text\": \"What?\"}, {\"type\": \"image_url\", \"image_url\": {\"url\": "
               "\"1.jpg\"}}]}]}}\n");
    snprintf(command, sizeof command, "cd '%s' && tar -cf shard.tar 1.jpg", folder);
    return system(command) == 0;
}

static enum status read_all(const char *name, const char *task, int *n)
{
    char path[128], text[96];
    const char *paths[] = {path};
    struct json *v = NULL;
    struct job *job = NULL;
    struct inputs *in = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(text, sizeof text, "{\"image\": \"x\", \"task\": \"caption\"}");
    enum status s = jsn_parse(text, strlen(text), "job", &v, NULL);
    if (s == ST_OK)
        s = job_from_json(v, NULL, &job, NULL);
    jsn_free(v);
    if (s == ST_OK && strcmp(task, "describe") == 0)
        job->tasks[0].kind = TASK_DESCRIBE;
    if (s == ST_OK)
        s = inputs_open(&(struct inputs_options){.paths = paths, .n_paths = 1, .defaults = job}, &in, NULL);
    while (s == ST_OK) {
        struct input i = {0};
        if ((s = inputs_next(in, &i, NULL)) == ST_OK)
            *n += i.error == NULL;
        input_fini(&i);
    }
    inputs_close(in);
    job_free(job);
    return s == ST_CLOSED ? ST_OK : s;
}

enum status read_round(void)
{
    int n = 0;
    if (!make_files())
        return ST_IO;
    enum status s = read_all("shard.tar", "caption", &n);
    if (s == ST_OK)
        s = read_all("coco.json", "describe", &n);
    if (s == ST_OK)
        s = read_all("regions.json", "describe", &n);
    if (s == ST_OK)
        s = read_all("batch.jsonl", "caption", &n);
    return s == ST_OK && n != 4 ? ST_SHAPE : s;
}

enum status cache_round(void)
{
    char path[128];
    struct cache *c = NULL;
    uint8_t data[] = "hello";
    struct bytes out = {0};
    if (!make_files())
        return ST_IO;
    snprintf(path, sizeof path, "%s/cache", folder);
    enum status s = cache_open(path, 1 << 20, &c, NULL);
    if (s == ST_OK) {
        cache_put(c, "key", &(struct bytes){data, sizeof data});
        s = cache_get(c, "key", &out) == ST_OK ? ST_OK : ST_NOMEM; /* an entry that can't be read is none */
    }
    bytes_fini(&out);
    cache_close(c);
    return s;
}
