/* What a broker says to a request that is not what it should be: the request and the field, by name. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/message.h"
#include "tests/unit/broker/rig.h"

static struct dispatch *d;
static const struct link_peer peer = {.bytes = "any", .len = 3};
static const uint8_t session[SESSION_BYTES] = "session of 16 b", hash[PLACE_HASH_BYTES], ids[2 * ID_BYTES];

static void set_up(void)
{
    d = rig_open(100000);
}

static void tear_down(void)
{
    dispatch_free(d);
}

TestSuite(requests, .init = set_up, .fini = tear_down);

static struct wire_view view(const char *text)
{
    return (struct wire_view){(const uint8_t *)text, strlen(text)};
}

/* A request with something in every field that it may have. */
static struct message whole(enum message_kind kind)
{
    return (struct message){.kind = kind,
                            .request = 7,
                            .campaign = view("c"),
                            .tenant = view("t"),
                            .class_name = view("model/f32"),
                            .pin = view("p"),
                            .label = view("l"),
                            .labels = view("a=b"),
                            .text = view("1|2"),
                            .tasks = view("caption"),
                            .name = view(kind == MESSAGE_LIST ? "events" : "uri x"),
                            .place = view("jobs 0 1"),
                            .session = {session, sizeof session},
                            .manifest = {hash, sizeof hash},
                            .ids = {ids, ID_BYTES},
                            .offset = 1,
                            .cursor = 1,
                            .state = 1,
                            .max = 1,
                            .seq = 1,
                            .want = 1,
                            .shards = 1,
                            .owned = 1,
                            .context = 1,
                            .bye = 1,
                            .end = 1,
                            .fail_stop = 1,
                            .weight = 1,
                            .quota = 1,
                            .action = 1,
                            .on = 1,
                            .shard = 1};
}

/* What the broker answers to the frame, as text: "" where it is no error. */
static const char *answer_to(enum message_kind kind, const void *bytes, size_t len, char text[DIAG_BYTES])
{
    struct dispatch_output o;
    text[0] = '\0';
    dispatch_on_message(d, kind >= MESSAGE_HELLO ? SIDE_WORKER : SIDE_CLIENT, &peer, bytes, len, 0);
    while (dispatch_next(d, &o)) {
        struct message m;
        if (o.kind == OUTPUT_SEND && message_decode(o.bytes, o.len, &m, NULL) == ST_OK && m.kind == MESSAGE_ERROR &&
            (wire_view_is(m.code, "format") || wire_view_is(m.code, "limit"))) {
            cr_expect_eq(m.request, 7);
            snprintf(text, DIAG_BYTES, "%.*s", (int)m.text.len, (const char *)m.text.bytes);
        }
        dispatch_output_fini(&o);
    }
    return text;
}

static void expect_named(const char *text, enum message_kind kind, const char *field, const char *what)
{
    char want[64];
    snprintf(want, sizeof want, "%s: field \"%s\"", message_kind_name(kind), field);
    cr_expect_eq(strncmp(text, want, strlen(want)), 0, "%s with \"%s\" %s: \"%s\"", message_kind_name(kind), field,
                 what, text);
}

enum change { AS_IT_IS, LEFT_OUT, A_TRUTH, TOO_LARGE, N_CHANGES };

/* The frame of `m` with one field changed; false: no such field. */
static bool change(const struct message *m, size_t at, enum change how, struct wire_writer *w, char field[32])
{
    uint8_t *bytes;
    size_t len;
    cr_assert_eq(message_encode(m, &bytes, &len), ST_OK);
    struct wire_reader r = wire_reader_init(bytes, len);
    cr_assert_eq(wire_get_array(&r, 4), 4);
    wire_writer_init(w, LIMIT_FRAME_BYTES);
    wire_put_array(w, 4);
    for (int i = 0; i < 3; i++)
        wire_put_uint(w, wire_get_uint(&r, UINT64_MAX));
    size_t n = wire_get_map(&r, 64);
    wire_put_map(w, how == LEFT_OUT && at < n ? n - 1 : n);
    for (size_t i = 0; i < n; i++) {
        struct wire_view key = wire_get_str(&r, 64), value = wire_get_raw(&r);
        if (i == at)
            snprintf(field, 32, "%.*s", (int)key.len, (const char *)key.bytes);
        if (i == at && how == LEFT_OUT)
            continue;
        wire_put_str_n(w, (const char *)key.bytes, key.len);
        if (i == at && how == A_TRUTH)
            wire_put_bool(w, true);
        else if (i == at && how == TOO_LARGE)
            wire_put_uint(w, UINT64_MAX);
        else
            wire_put_raw(w, value.bytes, value.len);
    }
    free(bytes);
    return at < n;
}

/* Kinds that a broker takes, and the fields that must be there. */
static const struct {
    enum message_kind kind;
    const char *must;
} requests[] = {
    {MESSAGE_PING, ""},
    {MESSAGE_CAMPAIGN, " campaign tenant pin "},
    {MESSAGE_CAMPAIGN_SET, " campaign state "},
    {MESSAGE_STATUS, ""},
    {MESSAGE_SUBMIT, " campaign rows "},
    {MESSAGE_RESULTS, " campaign cursor max "},
    {MESSAGE_TRIM, " campaign cursor "},
    {MESSAGE_WORKERS, ""},
    {MESSAGE_LIST, " name "},
    {MESSAGE_TENANT, " tenant "},
    {MESSAGE_DRAIN, " on "},
    {MESSAGE_JOB, " ids action "},
    {MESSAGE_REQUEUE, " campaign "},
    {MESSAGE_DEAD, " campaign "},
    {MESSAGE_FORGET, " name "},
    {MESSAGE_HELLO, " session class "},
    {MESSAGE_CREDIT, " session seq want "},
    {MESSAGE_RESUME, " session seq "},
    {MESSAGE_DONE, " session rows "},
    {MESSAGE_BEAT, " session "},
    {MESSAGE_HANDBACK, " session "},
};

Test(requests, every_field_that_is_missing_or_of_another_type_or_size_is_named)
{
    for (size_t k = 0; k < sizeof requests / sizeof *requests; k++) {
        enum message_kind kind = requests[k].kind;
        const struct message m = whole(kind);
        char field[32] = "", text[DIAG_BYTES], word[40];
        bool more = true;
        for (size_t at = 0; more; at++) {
            for (int how = LEFT_OUT; more && how < N_CHANGES; how++) {
                struct wire_writer w;
                more = change(&m, at, (enum change)how, &w, field);
                snprintf(word, sizeof word, " %s ", field);
                bool may_miss = how == LEFT_OUT && !strstr(requests[k].must, word);
                if (more && !may_miss)
                    expect_named(answer_to(kind, w.bytes, w.len, text), kind, field,
                                 how == LEFT_OUT  ? "left out"
                                 : how == A_TRUTH ? "as a truth value"
                                                  : "too large");
                else if (more && kind != MESSAGE_DONE) /* which must have rows, and has none here */
                    cr_expect_str_eq(answer_to(kind, w.bytes, w.len, text), "", "%s without %s: %s",
                                     message_kind_name(kind), field, text);
                wire_writer_fini(&w);
            }
        }
    }
}

Test(requests, a_value_that_a_field_does_not_take_is_answered_with_its_name)
{
    static const struct {
        enum message_kind kind;
        const char *field, *value;
    } wrong[] = {
        {MESSAGE_CAMPAIGN, "campaign", ""},
        {MESSAGE_CAMPAIGN, "campaign", "a\nb"},
        {MESSAGE_CAMPAIGN, "tenant", ""},
        {MESSAGE_CAMPAIGN, "tenant", "\x7f"},
        {MESSAGE_CAMPAIGN, "class", "a b"},
        {MESSAGE_CAMPAIGN, "class", "a|b"},
        {MESSAGE_CAMPAIGN, "labels", "a=\t"},
        {MESSAGE_CAMPAIGN_SET, "campaign", ""},
        {MESSAGE_RESULTS, "campaign", ""},
        {MESSAGE_TRIM, "campaign", "\x01"},
        {MESSAGE_REQUEUE, "campaign", ""},
        {MESSAGE_DEAD, "campaign", ""},
        {MESSAGE_STATUS, "campaign", "\n"},
        {MESSAGE_TENANT, "tenant", ""},
        {MESSAGE_LIST, "name", ""},
        {MESSAGE_LIST, "name", "eventss"},
        {MESSAGE_JOB, "ids", ""},
        {MESSAGE_JOB, "ids", "two"},
        {MESSAGE_FORGET, "name", ""},
        {MESSAGE_FORGET, "name", "uri"},
        {MESSAGE_FORGET, "name", "uri "},
        {MESSAGE_FORGET, "name", "url x"},
        {MESSAGE_FORGET, "name", "sha256 7f857dd1"},
        {MESSAGE_FORGET, "name", "sha256 7F857DD1E3B0BEDB36A69F58428F1EEA558400069658FE4E9775EF2EA4A978BD"},
        {MESSAGE_FORGET, "place", "job"},
        {MESSAGE_FORGET, "place", "words 0 1"},
        {MESSAGE_FORGET, "place", "jobs 0 1 2"},
        {MESSAGE_FORGET, "place", "1 jobs 0"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct message m = whole(wrong[i].kind);
        const struct {
            const char *name;
            struct wire_view *view;
        } fields[] = {{"campaign", &m.campaign}, {"tenant", &m.tenant}, {"class", &m.class_name},
                      {"labels", &m.labels},     {"name", &m.name},     {"place", &m.place}};
        char text[DIAG_BYTES];
        uint8_t *bytes;
        size_t len;
        for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
            if (strcmp(fields[f].name, wrong[i].field) == 0)
                *fields[f].view = view(wrong[i].value);
        if (strcmp(wrong[i].field, "ids") == 0)
            m.ids.len = *wrong[i].value ? sizeof ids : 0;
        cr_assert_eq(message_encode(&m, &bytes, &len), ST_OK);
        expect_named(answer_to(m.kind, bytes, len, text), m.kind, wrong[i].field, wrong[i].value);
        free(bytes);
    }
}

Test(requests, what_a_field_takes_is_no_error)
{
    static const struct {
        enum message_kind kind;
        const char *name, *place;
    } right[] = {
        {MESSAGE_LIST, "queue", ""},
        {MESSAGE_LIST, "forgotten", ""},
        {MESSAGE_FORGET, "uri https://example.org/a b", ""},
        {MESSAGE_FORGET, "sha256 7f857dd1e3b0bedb36a69f58428f1eea558400069658fe4e9775ef2ea4a978bd", "records 12 0"},
        {MESSAGE_FORGET, "uri x", "3 "},
        {MESSAGE_FORGET, "uri x", "2 dead 1 99"},
        {MESSAGE_FORGET, "uri x", "twins 0 77"},
    };
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        struct message m = whole(right[i].kind);
        char text[DIAG_BYTES];
        uint8_t *bytes;
        size_t len;
        m.name = view(right[i].name);
        m.place = view(right[i].place);
        cr_assert_eq(message_encode(&m, &bytes, &len), ST_OK);
        cr_expect_str_eq(answer_to(m.kind, bytes, len, text), "");
        free(bytes);
    }
}

Test(requests, an_answer_is_no_request)
{
    struct message m = {.kind = MESSAGE_TRIMMED, .request = 7};
    char text[DIAG_BYTES];
    uint8_t *bytes;
    size_t len;
    cr_assert_eq(message_encode(&m, &bytes, &len), ST_OK);
    cr_expect_str_eq(answer_to(m.kind, bytes, len, text), "TRIMMED: not a message for a broker");
    free(bytes);
}
