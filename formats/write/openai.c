/* Answers in the envelope of OpenAI's batch files: output.jsonl with {"id", "custom_id", "response": {"status_code",
 * "request_id", "body": a chat completion}, "error": null}, and errors.jsonl with "response": null and the error.
 * A message has what is grounded in it beside its text ("entities"), which other tools pass over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/write/format.h"
#include "formats/write/new_file.h"

struct openai {
    struct new_file output, errors;
};

static enum status open_openai(const struct format_options *o, void **out, struct diag *why)
{
    struct openai *w = calloc(1, sizeof *w);
    enum status s = w ? new_file_open(&w->output, o->dir, "output.jsonl", why) : ST_NOMEM;
    if (s == ST_OK)
        s = new_file_open(&w->errors, o->dir, "errors.jsonl", why);
    if (s != ST_OK) {
        if (w)
            (void)!new_file_close(&w->output, false, NULL);
        free(w);
        return s;
    }
    *out = w;
    return ST_OK;
}

/* "prefix" and the job's id, or the record's where it was in no queue. */
static struct json *name(const char *prefix, const struct json *record)
{
    char *text = NULL;
    const char *job = jsn_string(jsn_get(record, "job"), jsn_string(jsn_get(record, "id"), ""));
    struct json *v = asprintf(&text, "%s%s", prefix, job) < 0 ? NULL : jsn_new_string(text);
    free(text);
    return v;
}

static enum status add_choice(struct json *choices, const struct json *task)
{
    enum status s = ST_OK;
    bool cut = strcmp(jsn_string(jsn_get(task, "finish"), ""), "length") == 0;
    struct json *choice = jsn_new_object(), *message = jsn_new_object();
    jsn_add(&s, message, "role", jsn_new_string("assistant"));
    jsn_add(&s, message, "content", jsn_copy(jsn_get(task, "text")));
    jsn_add(&s, message, "refusal", jsn_new_null());
    jsn_add(&s, message, "entities", jsn_copy(jsn_get(task, "entities")));
    jsn_add(&s, choice, "index", jsn_new_int((int64_t)jsn_size(choices)));
    jsn_add(&s, choice, "message", message);
    jsn_add(&s, choice, "logprobs", jsn_new_null());
    jsn_add(&s, choice, "finish_reason", jsn_new_string(cut ? "length" : "stop"));
    enum status pushed = jsn_push(choices, choice);
    return s == ST_OK ? pushed : s;
}

static struct json *usage(int64_t prompt, int64_t output)
{
    enum status s = ST_OK;
    struct json *u = jsn_new_object();
    jsn_add(&s, u, "prompt_tokens", jsn_new_int(prompt));
    jsn_add(&s, u, "completion_tokens", jsn_new_int(output));
    jsn_add(&s, u, "total_tokens", jsn_new_int(prompt + output));
    if (s == ST_OK)
        return u;
    jsn_free(u);
    return NULL;
}

static struct json *completion(const struct json *record)
{
    enum status s = ST_OK;
    int64_t prompt = 0, output = 0;
    const struct json *tasks = jsn_get(record, "tasks"), *asked = jsn_get(jsn_get(record, "meta"), "model");
    struct json *body = jsn_new_object(), *choices = jsn_new_array();
    for (size_t i = 0; s == ST_OK && i < jsn_size(tasks); i++) {
        const struct json *task = jsn_at(tasks, i), *tokens = jsn_get(task, "tokens");
        if (jsn_get(task, "error"))
            continue;
        prompt += jsn_int(jsn_get(tokens, "prompt"), 0);
        output += jsn_int(jsn_get(tokens, "output"), 0);
        s = add_choice(choices, task);
    }
    jsn_add(&s, body, "id", name("chatcmpl-", record));
    jsn_add(&s, body, "object", jsn_new_string("chat.completion"));
    jsn_add(&s, body, "created", jsn_new_int(jsn_int(jsn_get(record, "ended_ms"), 0) / 1000));
    jsn_add(&s, body, "model", jsn_copy(asked ? asked : jsn_get(jsn_get(record, "model"), "hash")));
    jsn_add(&s, body, "choices", choices);
    jsn_add(&s, body, "usage", usage(prompt, output));
    if (s == ST_OK)
        return body;
    jsn_free(body);
    return NULL;
}

static struct json *error_of(const struct json *record)
{
    enum status s = ST_OK;
    struct json *error = jsn_new_object();
    const struct json *from = jsn_get(record, "error");
    jsn_add(&s, error, "code", jsn_copy(jsn_get(from, "code")));
    jsn_add(&s, error, "message", jsn_copy(jsn_get(from, "message")));
    if (s == ST_OK)
        return error;
    jsn_free(error);
    return NULL;
}

static struct json *response(const struct json *record)
{
    enum status s = ST_OK;
    struct json *r = jsn_new_object();
    jsn_add(&s, r, "status_code", jsn_new_int(200));
    jsn_add(&s, r, "request_id", name("req_", record));
    jsn_add(&s, r, "body", completion(record));
    if (s == ST_OK)
        return r;
    jsn_free(r);
    return NULL;
}

static enum status put_openai(void *writer, const struct json *record, const char *picture, struct diag *why)
{
    struct openai *w = writer;
    bool failed = strcmp(jsn_string(jsn_get(record, "status"), ""), "failed") == 0;
    enum status s = ST_OK;
    struct json *line = jsn_new_object();
    (void)picture, (void)why;
    jsn_add(&s, line, "id", name("batch_req_", record));
    jsn_add(&s, line, "custom_id", jsn_copy(jsn_get(record, "id")));
    jsn_add(&s, line, "response", failed ? jsn_new_null() : response(record));
    jsn_add(&s, line, "error", failed ? error_of(record) : jsn_new_null());
    char *text = s == ST_OK ? jsn_text(line) : NULL;
    jsn_free(line);
    if (!text)
        return ST_NOMEM;
    fprintf(failed ? w->errors.out : w->output.out, "%s\n", text); /* new_file_close finds what went wrong */
    free(text);
    return ST_OK;
}

static enum status close_openai(void *writer, bool keep, struct diag *notes, struct diag *why)
{
    struct openai *w = writer;
    (void)notes;
    enum status s = new_file_close(&w->errors, keep, why);
    enum status output = new_file_close(&w->output, keep && s == ST_OK, s == ST_OK ? why : NULL);
    free(w);
    return s == ST_OK ? output : s;
}

const struct format format_openai = {.name = "openai", .open = open_openai, .put = put_openai, .close = close_openai};
