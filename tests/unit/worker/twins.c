/* Which images are twins, and what becomes of those who ask. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "worker/twins.h"

enum { WAIT_MS = 10000, MOMENT_MS = 50 };

static struct job_task task = {.kind = TASK_CAPTION, .options = {.max_tokens = 16, .top_p = 1}};
static char bytes[] = "the bytes of an image";

/* Asks what a caption is asked, in a campaign of its own. */
static struct job job_of(char *tenant, char *campaign)
{
    static char policy[] = "default";
    return (struct job){.key = campaign,
                        .image = campaign,
                        .tasks = &task,
                        .n_tasks = 1,
                        .policy = policy,
                        .priority = 1,
                        .tenant = tenant,
                        .campaign = campaign};
}

static struct twin name_it(const char *maker, const struct job *j, const char *image)
{
    struct twins *t;
    struct twin w = {.is_named = false};
    cr_assert_eq(twins_new(9, WAIT_MS, &t), ST_OK);
    cr_assert_eq(twins_set_maker(t, maker), ST_OK);
    uint8_t content[SHA256_BYTES];
    sha256_of(image, strlen(image), content);
    twins_name(t, j, content, &w);
    cr_assert(w.is_named);
    twins_free(t);
    return w;
}

static bool is_same(struct twin a, struct twin b)
{
    return memcmp(a.key, b.key, ID_BYTES) == 0;
}

Test(twins, of_another_campaign_with_another_key_name_and_meta)
{
    char tenant[] = "t", a[] = "a", b[] = "b", meta[] = "{\"row\":1}";
    struct job one = job_of(tenant, a), two = job_of(tenant, b);
    two.meta = meta;
    two.group = b;
    two.priority = 2;
    two.deadline_ms = 1;
    two.max_runtime_ms = 9;
    cr_expect(is_same(name_it("m", &one, bytes), name_it("m", &two, bytes)));
}

Test(twins, not_of_another_tenant_prompt_option_policy_model_or_image)
{
    char tenant[] = "t", other[] = "u", a[] = "a", policy[] = "ml-ferret", phrase[] = "a cat";
    char *phrases[] = {phrase};
    struct job one = job_of(tenant, a), two = job_of(other, a);
    struct twin first = name_it("m", &one, bytes);
    cr_expect(!is_same(first, name_it("m", &two, bytes)), "another tenant");
    two = one;
    two.policy = policy;
    cr_expect(!is_same(first, name_it("m", &two, bytes)), "another policy");
    cr_expect(!is_same(first, name_it("n", &one, bytes)), "another model");
    cr_expect(!is_same(first, name_it("m", &one, "other bytes")), "another image");
    struct job_task locate = {.kind = TASK_LOCATE, .phrases = phrases, .n_phrases = 1, .options = task.options};
    two = one;
    two.tasks = &locate;
    struct twin located = name_it("m", &two, bytes);
    cr_expect(!is_same(first, located), "another task");
    phrase[2] = 'r';
    cr_expect(!is_same(located, name_it("m", &two, bytes)), "another phrase");
    struct job_task seeded = task;
    seeded.options.seed = 1;
    two.tasks = &seeded;
    cr_expect(!is_same(first, name_it("m", &two, bytes)), "another seed");
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static struct twins *twins;
static struct twin asked, done; /* of two jobs that are twins */
static char found_id[2 * ID_BYTES + 1];

static void ignore(void *ctx)
{
    (void)ctx;
}

static void *ask(void *arg)
{
    (void)arg;
    return twins_find(twins, &asked, found_id);
}

static void start(void)
{
    char tenant[] = "t", a[] = "a", b[] = "b";
    struct job mine = job_of(tenant, a), others = job_of(tenant, b);
    asked = name_it("m", &mine, bytes);
    done = name_it("m", &others, bytes);
    cr_assert_eq(twins_new(9, WAIT_MS, &twins), ST_OK);
    twins_attach(twins, ignore, NULL);
}

static void stop(void)
{
    twins_free(twins);
}

TestSuite(twins_asked, .init = start, .fini = stop);

/* What was told, as the index would hold it: told once, taken by the session. */
static struct twin_news *news_of(const struct twin *w, const char *sha256)
{
    char record[512];
    struct twins_load load;
    snprintf(record, sizeof record,
             "{\"schema\":1,\"id\":\"k\",\"status\":\"ok\",\"image\":{\"uri\":\"a:b\",\"sha256\":\"%s\"},\"tasks\":[]}",
             sha256);
    twins_set_open(twins, true);
    twins_tell(twins, w, "a:b", record);
    cr_assert(twins_take(twins, &load) && load.n_news == 1 && load.n_asked == 0);
    return load.news;
}

/* Asks on a thread, and carries the question away. */
static pthread_t ask_aside(void)
{
    enum { PATIENCE_MS = 10000 };
    pthread_t thread;
    struct twins_load load = {.n_asked = 0};
    cr_assert_eq(pthread_create(&thread, NULL, ask, NULL), 0);
    for (int64_t until = clock_ms() + PATIENCE_MS; load.n_asked == 0 && clock_ms() < until;)
        (void)twins_take(twins, &load);
    cr_assert_eq(load.n_asked, 1);
    cr_assert(memcmp(load.asked[0], asked.key, ID_BYTES) == 0);
    return thread;
}

static struct json *answer_of(pthread_t thread)
{
    void *record;
    cr_assert_eq(pthread_join(thread, &record), 0);
    return record;
}

Test(twins_asked, the_answer_is_the_record_that_was_told_and_its_id)
{
    char id[2 * ID_BYTES + 1];
    struct twin_news *n = news_of(&done, asked.sha256);
    job_id_hex(done.id, id);
    pthread_t thread = ask_aside();
    twins_answer(twins, n->key, n->value, n->len);
    twins_answered(twins);
    struct json *record = answer_of(thread);
    cr_assert_not_null(record);
    cr_expect_str_eq(jsn_string(jsn_get(record, "id"), ""), "k");
    cr_expect_str_eq(found_id, id);
    jsn_free(record);
    free(n);
}

Test(twins_asked, a_record_of_other_bytes_and_one_cut_short_are_no_answers)
{
    struct twin_news *n = news_of(&done, "00");
    for (size_t len = 0; len <= n->len; len++) {
        pthread_t thread = ask_aside();
        twins_answer(twins, n->key, n->value, len);
        twins_answered(twins);
        cr_assert_null(answer_of(thread), "%zu of %zu bytes", len, n->len);
    }
    free(n);
}

Test(twins_asked, a_job_that_runs_once_more_is_not_its_own_twin)
{
    struct twin_news *n = news_of(&asked, asked.sha256);
    pthread_t thread = ask_aside();
    twins_answer(twins, n->key, n->value, n->len);
    twins_answered(twins);
    cr_expect_null(answer_of(thread));
    free(n);
}

Test(twins_asked, who_asks_is_told_at_once_where_no_broker_is)
{
    int64_t since = clock_ms();
    cr_expect_null(ask(NULL));
    twins_set_open(twins, true);
    pthread_t thread = ask_aside();
    twins_set_open(twins, false);
    cr_expect_null(answer_of(thread));
    cr_expect_lt(clock_ms() - since, WAIT_MS);
}

Test(twins_asked, nobody_waits_for_an_answer_for_ever)
{
    twins_free(twins);
    cr_assert_eq(twins_new(9, MOMENT_MS, &twins), ST_OK);
    twins_attach(twins, ignore, NULL);
    twins_set_open(twins, true);
    cr_expect_null(ask(NULL));
}

Test(twins_asked, what_is_too_long_for_the_index_is_not_told)
{
    static char record[LIMIT_TWIN_BYTES];
    struct twins_load load;
    memset(record, ' ', sizeof record - 1);
    twins_set_open(twins, true);
    twins_tell(twins, &asked, "a:b", record);
    cr_expect(!twins_take(twins, &load));
}
