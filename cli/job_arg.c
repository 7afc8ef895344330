#include "cli/job_arg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "protocol/job.h"

bool job_arg_is_id(const char *arg)
{
    return strlen(arg) == 2 * ID_BYTES && strspn(arg, "0123456789abcdef") == 2 * ID_BYTES;
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static struct wire_view text_view(const char *s)
{
    return (struct wire_view){.bytes = (const uint8_t *)s, .len = strlen(s)};
}

enum status job_arg_id(struct client *client, const char *arg, const char *key, uint8_t id[ID_BYTES], struct diag *why)
{
    if (!key && !job_arg_is_id(arg))
        return diag_set(why, ST_INVALID, "\"%s\": expected a job's id (32 hex digits), or a campaign and --job KEY",
                        arg);
    if (!key) {
        for (int i = 0; i < ID_BYTES; i++)
            id[i] = (uint8_t)(digit(arg[2 * i]) << 4 | digit(arg[2 * i + 1]));
        return ST_OK;
    }
    struct campaign_status c;
    enum status s = client_status(client, arg, &c, why);
    if (s != ST_OK)
        return s;
    struct job_name name = {.tenant = text_view(c.tenant), .campaign = text_view(c.name), .key = text_view(key)};
    job_name_id(&name, id);
    return ST_OK;
}

/* ---- printing --------------------------------------------------------------------------------------------------- */

static enum status put_parsed(struct json *o, const char *key, const char *text)
{
    struct json *v = NULL;
    if (!text)
        return ST_OK;
    return jsn_parse(text, strlen(text), key, &v, NULL) == ST_OK ? jsn_put(o, key, v) : ST_OK;
}

/* The job as a manifest would have it, where its body is kept. */
static enum status put_job(struct json *o, const struct job_status *s)
{
    struct job *job = NULL;
    struct json *v = NULL;
    if (!s->body || job_decode(s->body, s->body_len, &job, NULL) != ST_OK)
        return ST_OK;
    enum status st = job_check_meta(job, NULL);
    if (st == ST_OK)
        st = job_to_json(job, &v);
    job_free(job);
    return st == ST_OK ? jsn_put(o, "job", v) : st == ST_FORMAT ? ST_OK : st;
}

static struct json *to_json(const uint8_t id[ID_BYTES], const struct job_status *s)
{
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"priority", s->priority}, {"retries", s->retries}, {"deadline", s->deadline_ms},
                   {"failures", s->failures}, {"crashes", s->crashes}, {"due", s->due_ms}};
    char hex[2 * ID_BYTES + 1];
    struct json *o = jsn_new_object();
    job_id_hex(id, hex);
    enum status st = jsn_put(o, "id", jsn_new_string(hex));
    if (st == ST_OK)
        st = jsn_put(o, "campaign", jsn_new_string(s->campaign));
    if (st == ST_OK)
        st = jsn_put(o, "state", jsn_new_string(s->state));
    if (st == ST_OK)
        st = jsn_put(o, "cancelling", jsn_new_bool(s->halted));
    if (st == ST_OK)
        st = jsn_put(o, "session", jsn_new_string(s->session));
    for (size_t i = 0; st == ST_OK && i < sizeof numbers / sizeof *numbers; i++)
        st = jsn_put(o, numbers[i].key, jsn_new_int((int64_t)numbers[i].value));
    if (st == ST_OK)
        st = put_job(o, s);
    if (st == ST_OK)
        st = put_parsed(o, "record", s->record);
    if (st == ST_OK)
        return o;
    jsn_free(o);
    return NULL;
}

enum status job_print(const uint8_t id[ID_BYTES], const struct job_status *s, bool json)
{
    struct json *o = to_json(id, s);
    char *text = o ? (json ? jsn_text(o) : jsn_text_indented(o, 2)) : NULL;
    jsn_free(o);
    if (!text)
        return ST_NOMEM;
    puts(text);
    free(text);
    return ST_OK;
}
