/* Roles and tenants: what a key may ask, with a played clock. */
#include "broker/access.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/dispatch.h"

static const char list_text[] =
    "{\"keys\": ["
    "{\"name\": \"s\", \"key\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", \"roles\": [\"submit\"], \"tenants\": "
    "[\"acme\"]},"
    "{\"name\": \"w\", \"key\": \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\", \"roles\": [\"work\"]},"
    "{\"name\": \"o\", \"key\": \"cccccccccccccccccccccccccccccccccccccccc\", \"roles\": [\"operate\"], \"tenants\": "
    "[\"*\"]},"
    "{\"name\": \"p\", \"key\": \"dddddddddddddddddddddddddddddddddddddddd\", \"roles\": [\"operate\"], \"tenants\": "
    "[\"acme\"]}"
    "]}";
static struct allow_list *list;
static struct dispatch *d;

static void set_up(void)
{
    struct diag why = {""};
    const struct dispatch_options o = {
        .worker_redis = "/r", .lease_ms = 12000, .beat_ms = 3000, .window = 1000, .max_held_bytes = 1 << 20};
    cr_assert_eq(allow_list_parse(list_text, strlen(list_text), "list", &list, &why), ST_OK, "%s", why.text);
    cr_assert_eq(dispatch_new(&o, &d), ST_OK);
    dispatch_on_store(d, 0, true, 1);
    dispatch_set_allowed(d, list);
}
static void tear_down(void)
{
    dispatch_free(d);
    allow_list_free(list);
}
TestSuite(access, .init = set_up, .fini = tear_down);

static struct link_peer peer(char key)
{
    char text[LINK_KEY_TEXT];
    struct link_peer p = {.bytes = "peer", .len = 4, .trust = LINK_HAS_KEY};
    memset(text, key, LINK_KEY_TEXT - 1);
    text[LINK_KEY_TEXT - 1] = '\0';
    cr_assert_eq(link_key_read(text, p.key), ST_OK);
    p.bytes[0] = (uint8_t)key;
    return p;
}

static const uint8_t sid[SESSION_BYTES] = "session of 16 b";

/* What comes of a message: a call (then *script), or the code of the ERROR that goes back. */
static bool becomes_call(const struct link_peer *from, const struct message *m, enum script *script, char code[16],
                         uint64_t *tag)
{
    uint8_t *bytes;
    size_t len;
    struct dispatch_output o;
    cr_assert_eq(message_encode(m, &bytes, &len), ST_OK);
    dispatch_on_message(d, m->kind >= MESSAGE_HELLO ? SIDE_WORKER : SIDE_CLIENT, from, bytes, len, 0);
    free(bytes);
    cr_assert(dispatch_next(d, &o), "%s", message_kind_name(m->kind));
    bool call = o.kind == OUTPUT_CALL;
    if (call) {
        *script = o.script;
        *tag = o.tag;
    } else {
        struct message answer;
        cr_assert_eq(message_decode(o.bytes, o.len, &answer, NULL), ST_OK);
        snprintf(code, 16, "%.*s", (int)answer.code.len, (const char *)answer.code.bytes);
    }
    dispatch_output_fini(&o);
    return call;
}

static bool may(char key, struct message m)
{
    static const struct reply lost = {.kind = REPLY_LOST};
    struct link_peer from = key ? peer(key) : (struct link_peer){.bytes = "local", .len = 5, .trust = LINK_THIS_HOST};
    enum script script;
    uint64_t tag;
    char code[16] = "";
    struct dispatch_output o;
    if (!becomes_call(&from, &m, &script, code, &tag)) {
        cr_assert_str_eq(code, "denied", "%s", message_kind_name(m.kind));
        return false;
    }
    dispatch_on_reply(d, tag, &lost, 0);
    while (dispatch_next(d, &o))
        dispatch_output_fini(&o);
    return true;
}

static struct wire_view text(const char *t)
{
    return (struct wire_view){(const uint8_t *)t, strlen(t)};
}

Test(access, each_message_takes_its_role)
{
    const struct wire_view session = {sid, sizeof sid}, c = text("c"), id = text("0123456789abcdef");
    /* who: s(ubmit), w(ork), o(perate) for all, p: operate for acme, l(ocal) */
    const struct {
        struct message m;
        const char *who;
    } rows[] = {
        {{.kind = MESSAGE_CAMPAIGN, .campaign = c, .tenant = text("acme"), .pin = text("p")}, "sl"},
        {{.kind = MESSAGE_CAMPAIGN, .campaign = c, .tenant = text("other"), .pin = text("p")}, "l"},
        {{.kind = MESSAGE_CAMPAIGN_SET, .campaign = c, .state = CAMPAIGN_PAUSED}, "sopl"},
        {{.kind = MESSAGE_CAMPAIGN_SET, .campaign = c, .state = CAMPAIGN_PURGED}, "opl"},
        {{.kind = MESSAGE_STATUS}, "sopl"},
        {{.kind = MESSAGE_RESULTS, .campaign = c, .max = 1}, "sopl"},
        {{.kind = MESSAGE_TRIM, .campaign = c}, "sl"},
        {{.kind = MESSAGE_WORKERS}, "sopl"},
        {{.kind = MESSAGE_LIST, .name = text("events")}, "sopl"},
        {{.kind = MESSAGE_LIST, .name = text("forgotten")}, "sopl"},
        {{.kind = MESSAGE_LIST, .name = text("queue")}, "opl"},
        {{.kind = MESSAGE_TENANT, .tenant = text("acme")}, "opl"},
        {{.kind = MESSAGE_TENANT, .tenant = text("other")}, "ol"},
        {{.kind = MESSAGE_TENANT, .tenant = text("acme"), .weight = 5}, "ol"},
        {{.kind = MESSAGE_TENANT, .tenant = text("acme"), .quota = 5}, "ol"},
        {{.kind = MESSAGE_DRAIN, .on = 1}, "ol"},
        {{.kind = MESSAGE_JOB, .ids = id}, "sopl"},
        {{.kind = MESSAGE_REQUEUE, .campaign = c}, "sopl"},
        {{.kind = MESSAGE_DEAD, .campaign = c}, "sopl"},
        {{.kind = MESSAGE_FORGET, .name = text("uri x")}, "ol"},
        {{.kind = MESSAGE_HELLO, .session = session, .class_name = text("m/f32")}, "wl"},
        {{.kind = MESSAGE_RESUME, .session = session, .seq = 1}, "wl"},
        {{.kind = MESSAGE_BEAT, .session = session}, "wl"},
        {{.kind = MESSAGE_HANDBACK, .session = session}, "wl"},
    };
    static const char letters[] = "swopl", keys[] = {'a', 'b', 'c', 'd', 0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int k = 0; k < 5; k++)
            cr_expect_eq(may(keys[k], rows[i].m), strchr(rows[i].who, letters[k]) != NULL, "row %zu, %s, %c", i,
                         message_kind_name(rows[i].m.kind), letters[k]);
}

Test(access, who_is_on_no_list_may_nothing)
{
    struct message m = {.kind = MESSAGE_PING};
    struct link_peer nobody = {.bytes = "x", .len = 1};
    enum script script;
    uint64_t tag;
    char code[16] = "";
    struct link_peer stranger = peer('z');
    cr_assert_not(becomes_call(&stranger, &m, &script, code, &tag));
    cr_assert_str_eq(code, "denied");
    cr_assert_not(becomes_call(&nobody, &m, &script, code, &tag), "trust is never assumed");
    cr_assert_str_eq(code, "denied");
}

static void hello(const struct link_peer *from)
{
    struct message m = {.kind = MESSAGE_HELLO, .session = {sid, sizeof sid}, .class_name = text("m/f32")};
    enum script script;
    uint64_t tag;
    char code[16] = "";
    struct dispatch_output o;
    cr_assert(becomes_call(from, &m, &script, code, &tag));
    struct reply items[] = {{.kind = REPLY_BYTES, .bytes = "new", .len = 3}, {.kind = REPLY_INT}};
    struct reply r = {.kind = REPLY_ARRAY, .items = items, .n = 2};
    dispatch_on_reply(d, tag, &r, 0);
    while (dispatch_next(d, &o))
        dispatch_output_fini(&o);
}

Test(access, a_session_belongs_to_the_key_that_said_hello)
{
    static const char second[] =
        "{\"keys\": [{\"key\": \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\", \"roles\": [\"work\"]},"
        "{\"key\": \"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\", \"roles\": [\"work\"]}]}";
    struct allow_list *both;
    struct link_peer owner = peer('b');
    hello(&owner);
    cr_assert_eq(allow_list_parse(second, strlen(second), "list", &both, NULL), ST_OK);
    dispatch_set_allowed(d, both);
    struct message bye = {.kind = MESSAGE_HANDBACK, .session = {sid, sizeof sid}, .bye = 1};
    cr_assert_not(may('e', bye), "another worker's key ends the session");
    struct message credit = {.kind = MESSAGE_CREDIT, .session = {sid, sizeof sid}, .seq = 1, .want = 5};
    cr_assert_not(may('e', credit), "another worker's key takes the session's jobs");
    cr_assert(may('b', bye));
    dispatch_set_allowed(d, list);
    allow_list_free(both);
}

Test(access, a_key_that_is_struck_off_gets_no_more_work)
{
    struct link_peer w = peer('b');
    struct allow_list *empty;
    hello(&w);
    struct message credit = {.kind = MESSAGE_CREDIT, .session = {sid, sizeof sid}, .seq = 1, .want = 5};
    uint8_t *bytes;
    size_t len;
    cr_assert_eq(message_encode(&credit, &bytes, &len), ST_OK);
    dispatch_on_message(d, SIDE_WORKER, &w, bytes, len, 0);
    free(bytes);
    cr_assert_eq(allow_list_parse("{\"keys\":[]}", 11, "list", &empty, NULL), ST_OK);
    dispatch_set_allowed(d, empty);
    (void)dispatch_tick(d, 1000);
    struct dispatch_output o;
    while (dispatch_next(d, &o)) {
        cr_expect(o.kind != OUTPUT_CALL || o.script != SCRIPT_CLAIM, "jobs are claimed for it");
        dispatch_output_fini(&o);
    }
    cr_assert_not(may('b', (struct message){.kind = MESSAGE_BEAT, .session = {sid, sizeof sid}}));
    dispatch_set_allowed(d, list);
    allow_list_free(empty);
}

Test(access, scripts_are_told_whose_campaigns_count)
{
    struct link_peer s = peer('a');
    struct message m = {.kind = MESSAGE_RESULTS, .campaign = text("c"), .max = 1};
    uint8_t *bytes;
    size_t len;
    struct dispatch_output o;
    cr_assert_eq(message_encode(&m, &bytes, &len), ST_OK);
    dispatch_on_message(d, SIDE_CLIENT, &s, bytes, len, 0);
    free(bytes);
    cr_assert(dispatch_next(d, &o));
    const char *last = store_args_at(&o.args, o.args.n - 1, &len);
    cr_assert(len == 6 && memcmp(last, "\nacme\n", 6) == 0, "%.*s", (int)len, last);
    dispatch_output_fini(&o);
}
