#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/engine_impl.h"

void engine_queue_result(struct engine *e, struct result_node *node)
{
    *e->results_end = node;
    e->results_end = &node->next;
}

bool engine_take(struct engine *e, struct engine_result *out)
{
    struct result_node *node = e->results;
    if (!node)
        return false;
    e->results = node->next;
    if (!e->results)
        e->results_end = &e->results;
    *out = node->result;
    free(node);
    return true;
}

void engine_result_fini(struct engine_result *r)
{
    free(r->tokens);
    free(r->logprob);
    free(r->margin);
    free(r->top);
    free(r->text);
    free(r->token_end);
    *r = (struct engine_result){0};
}

enum status engine_room_for_tokens(struct task_job *t)
{
    struct engine_result *r = &t->result->result;
    size_t n = (size_t)t->sched.max_tokens;
    r->tokens = malloc(n * sizeof *r->tokens);
    r->logprob = malloc(n * sizeof *r->logprob);
    r->margin = malloc(n * sizeof *r->margin);
    r->top = malloc(n * sizeof *r->top);
    return r->tokens && r->logprob && r->margin && r->top ? ST_OK : ST_NOMEM;
}

void engine_keep_token(struct task_job *t, const struct sampled *sampled)
{
    struct engine_result *r = &t->result->result;
    int at = t->n_tokens++;
    assert(at < t->sched.max_tokens);
    r->tokens[at] = sampled->token;
    r->logprob[at] = sampled->logprob;
    r->margin[at] = sampled->margin;
    r->top[at] = sampled->top;
}

void task_job_free(struct engine *e, struct task_job *t)
{
    for (int i = 0; t->regions && i < t->sched.n_regions; i++)
        drawn_region_fini(&t->regions[i]);
    for (int i = 0; i < t->n_stops; i++)
        free(t->stops[i]);
    free(t->stops);
    free(t->regions);
    free(t->sched.region_row);
    free(t->ids);
    free(t->text);
    detokenizer_free(t->detokenizer);
    engine_release_prefix(e, t->prefix);
    if (t->result)
        engine_result_fini(&t->result->result);
    free(t->result);
    free(t);
}

/* First of the stop texts in text, or NULL. */
static char *find_stop(const struct task_job *t, char *text)
{
    char *first = NULL;
    for (int i = 0; i < t->n_stops; i++) {
        char *at = strstr(text, t->stops[i]);
        if (at && (!first || at < first))
            first = at;
    }
    return first;
}

enum status engine_match_stops(struct task_job *t, int32_t token, bool *stop)
{
    *stop = false;
    if (!t->detokenizer)
        return ST_OK;
    const char *piece;
    size_t len, before = t->text_len, longest = 0;
    enum status s = detokenizer_feed(t->detokenizer, token, &piece, &len);
    if (s != ST_OK || len == 0)
        return s;
    if (t->text_len + len + 1 > t->text_cap) {
        size_t cap = 2 * (t->text_len + len + 1);
        char *text = realloc(t->text, cap);
        if (!text)
            return ST_NOMEM;
        t->text = text;
        t->text_cap = cap;
    }
    memcpy(t->text + t->text_len, piece, len);
    t->text_len += len;
    t->text[t->text_len] = '\0';
    for (int i = 0; i < t->n_stops; i++)
        longest = strlen(t->stops[i]) > longest ? strlen(t->stops[i]) : longest;
    /* A match that is new ends in the new piece. */
    *stop = find_stop(t, t->text + (before > longest ? before - longest : 0)) != NULL;
    return ST_OK;
}

/* The text of the tokens that were kept. */
static enum status fill_answer(const struct engine *e, const struct task_job *t, struct engine_result *r,
                               struct diag *why)
{
    enum status s = ST_OK;
    if (!(r->token_end = calloc((size_t)t->n_tokens, sizeof *r->token_end)))
        s = ST_NOMEM;
    if (s == ST_OK)
        s = tokenizer_decode(e->tokenizer, r->tokens, t->n_tokens, true, &r->text, r->token_end, why);
    if (s != ST_OK)
        return s;
    r->n_tokens = t->n_tokens;
    char *stop = find_stop(t, r->text);
    if (stop) {
        *stop = '\0';
        size_t end = (size_t)(stop - r->text);
        for (int i = 0; i < r->n_tokens; i++)
            r->token_end[i] = r->token_end[i] < end ? r->token_end[i] : end;
    }
    return ST_OK;
}

static void drop_answer(struct engine_result *r)
{
    struct engine_result kept = {.image_id = r->image_id, .task_id = r->task_id};
    engine_result_fini(r);
    *r = kept;
}

static void forget(struct flight *f, const struct task_job *t)
{
    for (int i = 0; i < f->n; i++) {
        if (f->rows[i].task == t)
            f->rows[i].task = NULL;
    }
}

static void drop_image(struct engine *e, struct image_job *image)
{
    for (struct image_job **i = &e->images; *i; i = &(*i)->next) {
        if (*i == image) {
            *i = image->next;
            break;
        }
    }
    e->n_images--;
    scheduler_remove(e->scheduler, &image->sched);
    free(image->pixels);
    free(image->features);
    free(image);
}

void engine_end_task(struct engine *e, struct task_job *t, enum engine_outcome outcome, enum finish finish,
                     const char *why)
{
    struct result_node *node = t->result;
    struct engine_result *r = &node->result;
    struct image_job *image = t->image;
    t->result = NULL;
    struct diag text = {0};
    diag_set(&text, ST_OK, "%s", why ? why : "");
    if (outcome == OUTCOME_OK) {
        enum status s = fill_answer(e, t, r, &text);
        if (s != ST_OK) {
            outcome = s == ST_NOMEM ? OUTCOME_NO_MEMORY : OUTCOME_DEVICE;
        }
    }
    if (outcome != OUTCOME_OK)
        drop_answer(r);
    int64_t now = clock_us(), started = t->started_us ? t->started_us : now, first = t->first_us ? t->first_us : now;
    r->outcome = outcome;
    r->finish = finish;
    r->n_prompt = t->n_prompt;
    r->wait_us = started - t->submitted_us;
    r->prefill_us = first - started;
    r->decode_us = now - first;
    memcpy(r->why, text.text, sizeof r->why);
    engine_queue_result(e, node);
    e->stats.tokens_out += r->n_tokens;
    forget(&e->planned, t);
    forget(&e->in_flight, t);
    scheduler_end(e->scheduler, &t->sched);
    for (struct task_job **i = &image->tasks; *i; i = &(*i)->next) {
        if (*i == t) {
            *i = t->next;
            break;
        }
    }
    task_job_free(e, t);
    if (!image->tasks)
        drop_image(e, image);
}

void engine_end_non_finite(struct engine *e, struct task_job *t)
{
    struct diag why = {0};
    diag_set(&why, ST_FORMAT, "the logits of token %d are not finite: damaged weights, or values beyond the precision",
             t->n_tokens - 1);
    engine_end_task(e, t, OUTCOME_NON_FINITE, FINISH_NONE, why.text);
}

void engine_lose(struct engine *e, const struct diag *why)
{
    e->lost = true;
    e->lost_why = *why;
    while (e->images)
        engine_end_task(e, e->images->tasks, OUTCOME_DEVICE, FINISH_NONE, why->text);
    e->planned.n = e->in_flight.n = 0;
}
