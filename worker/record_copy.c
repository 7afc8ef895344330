/* Records of images whose answers are there already. */
#include "protocol/result.h"
#include "worker/record.h"

/* The twin's image, found elsewhere. */
static struct json *image_of(const struct job *j, const struct json *twin)
{
    enum status s = ST_OK;
    struct json *o = jsn_copy(jsn_get(twin, "image"));
    jsn_add(&s, o, "uri", result_text(j->image));
    return jsn_whole(o, s);
}

/* It was neither decoded nor computed. */
static struct json *times_of(const struct record_times *t)
{
    static const char *const idle[] = {"decode", "prefill", "generate"};
    enum status s = ST_OK;
    struct json *o = jsn_new_object();
    jsn_add(&s, o, "fetch", jsn_new_real((double)t->fetch_us / 1000.0));
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++)
        jsn_add(&s, o, idle[i], jsn_new_real(0));
    jsn_add(&s, o, "wait", jsn_new_real((double)(t->total_us - t->fetch_us) / 1000.0));
    jsn_add(&s, o, "total", jsn_new_real((double)t->total_us / 1000.0));
    return jsn_whole(o, s);
}

struct json *record_copy(const struct job *j, const struct json *twin, const char *id, const struct record_times *times)
{
    static const char *const same[] = {"policy", "tasks", "model", "engine", "seed"};
    enum status s = ST_OK;
    struct json *o = result_start(j, "ok");
    jsn_add(&s, o, "image", image_of(j, twin));
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        jsn_add(&s, o, same[i], jsn_copy(jsn_get(twin, same[i])));
    jsn_add(&s, o, "dup_of", jsn_new_string(id));
    jsn_add(&s, o, "timings_ms", times_of(times));
    if (s == ST_OK)
        s = result_put_meta(o, j);
    return jsn_whole(o, s);
}
