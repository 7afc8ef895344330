#include "formats/read/openai.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct json *turns; /* of what is asked so far */
    char *system;       /* waits for the first turn of the user */
    char *image;
    int n_turns;
    struct diag *why;
};

bool openai_is_line(const struct json *v)
{
    return jsn_get(v, "custom_id") && jsn_get(v, "body");
}

static enum status append(char **text, const char *more)
{
    char *longer = NULL;
    if (asprintf(&longer, "%s%s%s", *text ? *text : "", *text && **text ? "\n" : "", more) < 0)
        return ST_NOMEM;
    free(*text);
    *text = longer;
    return ST_OK;
}

static enum status take_image(struct reading *r, const struct json *part)
{
    const struct json *image = jsn_get(part, "image_url");
    const char *url =
        jsn_kind(image) == JSON_KIND_STRING ? jsn_string(image, NULL) : jsn_string(jsn_get(image, "url"), NULL);
    if (!url)
        return diag_set(r->why, ST_FORMAT, "body.messages: image_url: expected {\"url\": TEXT}");
    if (r->image)
        return diag_set(r->why, ST_INVALID, "body.messages: a second image; a request has one");
    return (r->image = strdup(url)) ? ST_OK : ST_NOMEM;
}

/* A message's content: a text, or parts of which texts are joined. */
static enum status read_content(struct reading *r, const struct json *content, char **text)
{
    enum status s = ST_OK;
    if (jsn_kind(content) == JSON_KIND_STRING)
        return append(text, jsn_string(content, ""));
    if (jsn_kind(content) != JSON_KIND_ARRAY)
        return diag_set(r->why, ST_FORMAT, "body.messages: content: expected a text or a list of parts");
    for (size_t i = 0; s == ST_OK && i < jsn_size(content); i++) {
        const struct json *part = jsn_at(content, i);
        const char *type = jsn_string(jsn_get(part, "type"), "");
        if (strcmp(type, "text") == 0 && jsn_kind(jsn_get(part, "text")) == JSON_KIND_STRING)
            s = append(text, jsn_string(jsn_get(part, "text"), ""));
        else if (strcmp(type, "image_url") == 0)
            s = take_image(r, part);
        else
            s = diag_set(r->why, ST_FORMAT, "body.messages: a part of type \"%.32s\"; expected text or image_url",
                         type);
    }
    return s;
}

static enum status take_turn(struct reading *r, bool user, const char *text)
{
    if (user != (r->n_turns % 2 == 0))
        return diag_set(r->why, ST_INVALID, "body.messages: expected user and assistant in turns");
    if (user && r->system) {
        enum status s = append(&r->system, text);
        if (s != ST_OK)
            return s;
        text = r->system;
    }
    r->n_turns++;
    enum status s = jsn_push(r->turns, jsn_new_string(text));
    if (user) {
        free(r->system);
        r->system = NULL;
    }
    return s;
}

static enum status read_message(struct reading *r, const struct json *message)
{
    const char *role = jsn_string(jsn_get(message, "role"), "");
    bool system = strcmp(role, "system") == 0 || strcmp(role, "developer") == 0, user = strcmp(role, "user") == 0;
    char *text = NULL;
    if (!system && !user && strcmp(role, "assistant") != 0)
        return diag_set(r->why, ST_FORMAT, "body.messages: role \"%.32s\"; expected system, user or assistant", role);
    enum status s = read_content(r, jsn_get(message, "content"), &text);
    if (s == ST_OK && text && *text)
        s = system ? append(&r->system, text) : take_turn(r, user, text);
    free(text);
    return s;
}

static enum status copy_options(const struct json *body, struct json *options)
{
    static const char *const names[][2] = {{"max_tokens", "max_tokens"},
                                           {"max_completion_tokens", "max_tokens"},
                                           {"temperature", "temperature"},
                                           {"top_p", "top_p"},
                                           {"seed", "seed"},
                                           {"stop", "stop"}};
    enum status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < sizeof names / sizeof *names; i++) {
        const struct json *v = jsn_get(body, names[i][0]);
        if (v && jsn_kind(v) != JSON_KIND_NULL && !jsn_get(options, names[i][1]))
            s = jsn_put(options, names[i][1], jsn_copy(v));
    }
    return s;
}

static enum status check_line(const struct json *line, struct diag *why)
{
    const struct json *body = jsn_get(line, "body");
    const char *url = jsn_string(jsn_get(line, "url"), "/v1/chat/completions");
    if (jsn_kind(jsn_get(line, "custom_id")) != JSON_KIND_STRING)
        return diag_set(why, ST_FORMAT, "custom_id: expected a text");
    if (strcmp(url, "/v1/chat/completions") != 0)
        return diag_set(why, ST_INVALID, "url: \"%.64s\"; only /v1/chat/completions is answered", url);
    if (jsn_kind(jsn_get(body, "messages")) != JSON_KIND_ARRAY)
        return diag_set(why, ST_FORMAT, "body.messages: expected a list");
    if (jsn_int(jsn_get(body, "n"), 1) != 1)
        return diag_set(why, ST_INVALID, "body.n: one answer a request");
    return ST_OK;
}

/* Takes the turns where there are some. */
static enum status build(const struct json *line, struct reading *r, struct json **out)
{
    const struct json *body = jsn_get(line, "body");
    struct json *job = jsn_new_object(), *options = jsn_new_object(), *meta = jsn_new_object();
    enum status s = jsn_put(job, "id", jsn_copy(jsn_get(line, "custom_id")));
    if (s == ST_OK)
        s = jsn_put(job, "image", jsn_new_string(r->image));
    if (s == ST_OK)
        s = copy_options(body, options);
    if (s == ST_OK && r->n_turns > 0)
        s = jsn_put(job, "task", jsn_new_string("ask"));
    enum status turns = ST_OK;
    if (s == ST_OK && r->n_turns > 0) {
        turns = jsn_put(job, "turns", r->turns);
        r->turns = NULL;
    }
    if (s == ST_OK && jsn_get(body, "model"))
        s = jsn_put(meta, "model", jsn_copy(jsn_get(body, "model")));
    enum status put_options = jsn_put(job, "options", options), put_meta = jsn_put(job, "meta", meta);
    if (s == ST_OK && turns == ST_OK && put_options == ST_OK && put_meta == ST_OK) {
        *out = job;
        return ST_OK;
    }
    jsn_free(job);
    return ST_NOMEM;
}

enum status openai_job(const struct json *line, struct json **out, struct diag *why)
{
    struct reading r = {.why = why};
    enum status s = check_line(line, why);
    if (s != ST_OK)
        return s;
    if (!(r.turns = jsn_new_array()))
        return ST_NOMEM;
    const struct json *messages = jsn_get(jsn_get(line, "body"), "messages");
    for (size_t i = 0; s == ST_OK && i < jsn_size(messages); i++)
        s = read_message(&r, jsn_at(messages, i));
    if (s == ST_OK && !r.image)
        s = diag_set(why, ST_INVALID, "body.messages: no image_url");
    if (s == ST_OK && r.n_turns > 0 && r.n_turns % 2 == 0)
        s = diag_set(why, ST_INVALID, "body.messages: the last one is not the user's");
    if (s == ST_OK)
        s = build(line, &r, out);
    jsn_free(r.turns);
    free(r.system);
    free(r.image);
    return s;
}
