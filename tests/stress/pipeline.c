/* The worker's pipeline with a real (tiny) engine, under load from several threads: every job that was put in ends in
 * exactly one call of `done`, whatever is cancelled, drained or handed back meanwhile, and answers do not depend on it.
 * A plain program, so that it runs under the thread sanitizer. Run from the repository's root. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "media/fetch.h"
#include "worker/pipeline.h"

enum { PUTTERS = 3, JOBS_EACH = 24, JOBS = PUTTERS * JOBS_EACH, IMAGES = 5 };

static const char *const images[IMAGES] = {"rgb_96x72.png", "gray_64x48.jpg", "absent.png", "square_60x60.png",
                                           "line_1x97.png"};

struct load {
    struct pipeline *pipeline;
    atomic_int ended[JOBS]; /* calls of `done` a job */
    atomic_int taken[JOBS]; /* put in */
    atomic_int cancelled, handed_back, ok, failed, started;
    char *text[JOBS]; /* of the first answer */
    bool cancels;
};
struct putter {
    struct load *load;
    int number;
};

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "not as it should be: %s\n", what);
    _exit(1);
}

static void on_done(void *ctx, struct pipeline_done *done)
{
    struct load *l = ctx;
    size_t index = (size_t)((atomic_int *)done->job_ctx - l->ended);
    atomic_fetch_add(&l->ended[index], 1);
    const char *code = done->error_code ? done->error_code : "";
    if (done->handed_back)
        atomic_fetch_add(&l->handed_back, 1);
    else if (strcmp(code, "cancelled") == 0)
        atomic_fetch_add(&l->cancelled, 1);
    else if (done->failed)
        atomic_fetch_add(&l->failed, 1);
    else
        atomic_fetch_add(&l->ok, 1);
    check(done->handed_back == (done->record == NULL), "a record, unless handed back");
    const char *text = jsn_string(jsn_get(jsn_at(jsn_get(done->record, "tasks"), 0), "text"), NULL);
    l->text[index] = text ? strdup(text) : NULL;
    jsn_free(done->record);
    job_free(done->job);
}

static void on_start(void *ctx, void *job_ctx)
{
    (void)job_ctx;
    atomic_fetch_add(&((struct load *)ctx)->started, 1);
}

static struct job *make_job(int index)
{
    char line[512];
    struct json *v = NULL;
    struct job *job = NULL;
    int n = snprintf(line, sizeof line,
                     "{\"id\":\"%d\",\"image\":\"here:%s\",\"regions\":[{\"point\":[%d,3]}],\"tasks\":[{\"kind\":"
                     "\"caption\"},{\"kind\":\"describe\"}],\"options\":{\"max_tokens\":%d}}",
                     index, images[index % IMAGES], index % 60, 4 + index % 8);
    check(jsn_parse(line, (size_t)n, "line", &v, NULL) == ST_OK, "the line is JSON");
    check(job_from_json(v, NULL, &job, NULL) == ST_OK, "the line is a job");
    jsn_free(v);
    return job;
}

static void *put_jobs(void *ctx)
{
    struct putter *p = ctx;
    struct load *l = p->load;
    for (int i = 0; i < JOBS_EACH; i++) {
        int index = p->number * JOBS_EACH + i;
        enum status s = pipeline_put(l->pipeline, make_job(index), &l->ended[index], index % 5 != 0, NULL);
        check(s == ST_OK || s == ST_BUSY || s == ST_CLOSED, "put says ok, busy or closed");
        if (s == ST_OK)
            atomic_store(&l->taken[index], 1);
        if (l->cancels && index % 7 == 3)
            pipeline_cancel(l->pipeline, &l->ended[index - index % 3]);
    }
    return NULL;
}

static void run(struct load *l, const struct media_roots *roots, bool hand_back)
{
    struct pipeline_options o = {
        .engine = {.model_dir = "tests/parity/fixtures/tiny-ferret-a",
                   .tower_dir = "tests/parity/fixtures/tiny-ferret-a-clip",
                   .backend = {.device = "cpu", .isa = "auto", .threads = 2, .memory_bytes = (size_t)256 << 20}},
        .queue_images = 4,
        .fetch = {.roots = roots},
        .on_start = on_start,
    };
    struct diag why = {""};
    enum status s = pipeline_open(&o, on_done, l, &l->pipeline, &why);
    if (s != ST_OK)
        fprintf(stderr, "%s\n", why.text);
    check(s == ST_OK, "the pipeline opens");
    struct putter putters[PUTTERS];
    pthread_t threads[PUTTERS];
    for (int i = 0; i < PUTTERS; i++) {
        putters[i] = (struct putter){l, i};
        check(pthread_create(&threads[i], NULL, put_jobs, &putters[i]) == 0, "a thread starts");
    }
    if (hand_back) {
        while (atomic_load(&l->started) < 8)
            usleep(1000);
        pipeline_drain(l->pipeline, true);
    }
    for (int i = 0; i < PUTTERS; i++)
        pthread_join(threads[i], NULL);
    int fetching, decoding, in_engine;
    struct engine_stats stats;
    pipeline_stats(l->pipeline, &stats, &fetching, &decoding, &in_engine);
    check(pipeline_state(l->pipeline, NULL) == ST_OK, "the engine is well");
    pipeline_close(l->pipeline);
    for (int i = 0; i < JOBS; i++)
        check(atomic_load(&l->ended[i]) == atomic_load(&l->taken[i]), "each job put in ends exactly once");
}

static void forget(struct load *l)
{
    for (int i = 0; i < JOBS; i++)
        free(l->text[i]);
}

int main(void)
{
    static struct load plain, troubled, drained;
    char here[4096], spec[4200];
    struct media_roots *roots = NULL;
    check(getcwd(here, sizeof here) != NULL, "there is a current folder");
    snprintf(spec, sizeof spec, "here=%s/tests/parity/fixtures/images", here);
    const char *specs[] = {spec};
    check(media_roots_new(specs, 1, &roots, NULL) == ST_OK, "the root opens");

    run(&plain, roots, false);
    check(atomic_load(&plain.handed_back) == 0 && atomic_load(&plain.cancelled) == 0, "nothing goes back by itself");
    troubled.cancels = true;
    run(&troubled, roots, false);
    run(&drained, roots, true);
    check(atomic_load(&drained.ok) > 0, "what had begun is finished");

    int compared = 0;
    for (int i = 0; i < JOBS; i++) {
        const struct load *others[] = {&troubled, &drained};
        for (int k = 0; k < 2; k++) {
            if (!plain.text[i] || !others[k]->text[i])
                continue;
            check(strcmp(plain.text[i], others[k]->text[i]) == 0, "an answer is the same in other company");
            compared++;
        }
    }
    check(compared > 0, "some answers could be compared");
    printf("pipeline: %d ok, %d failed; with cancels %d ok, %d cancelled; drained %d ok, %d handed back; %d compared\n",
           atomic_load(&plain.ok), atomic_load(&plain.failed), atomic_load(&troubled.ok),
           atomic_load(&troubled.cancelled), atomic_load(&drained.ok), atomic_load(&drained.handed_back), compared);
    forget(&plain);
    forget(&troubled);
    forget(&drained);
    media_roots_free(roots);
    return 0;
}
