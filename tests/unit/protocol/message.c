#include "protocol/message.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t id[ID_BYTES] = "0123456789abcde", session[SESSION_BYTES] = "session of 16 b";

static struct wire_view view(const char *s)
{
    return (struct wire_view){(const uint8_t *)s, strlen(s)};
}

/* A message of any kind with every field that it may have filled in. */
static struct message full(enum message_kind k, struct wire_writer *rows)
{
    static const uint8_t manifest[PLACE_HASH_BYTES] = "the hash";
    struct message m = {.kind = k,
                        .request = 77,
                        .campaign = view("summer"),
                        .tenant = view("default"),
                        .class_name = view("abc/f32"),
                        .pin = view("pin"),
                        .label = view("host"),
                        .code = view("store"),
                        .text = view("a sentence"),
                        .address = view("/tmp/redis"),
                        .tasks = view("caption"),
                        .session = {session, sizeof session},
                        .manifest = {manifest, sizeof manifest},
                        .ids = {id, sizeof id},
                        .statuses = view("nd"),
                        .offset = 1,
                        .cursor = 2,
                        .state = 1,
                        .unfinished = 3,
                        .retry_ms = 4,
                        .max = 5,
                        .more = 1,
                        .seq = 6,
                        .want = 7,
                        .route = 1,
                        .shards = 1,
                        .lease_ms = 8,
                        .beat_ms = 9,
                        .owned = 10,
                        .context = 11,
                        .bye = 1,
                        .labels = view("a=b"),
                        .end = 1,
                        .fail_stop = 12,
                        .n = 15,
                        .weight = 13,
                        .quota = 14,
                        .action = JOB_RETRY,
                        .on = 1,
                        .flags = FLAG_DRAIN,
                        .name = view("events"),
                        .place = view("jobs 0 0"),
                        .body = view("a body"),
                        .record = view("{}")};
    wire_writer_init(rows, 10000);
    wire_put_array(rows, 2);
    for (int i = 0; i < 2; i++) {
        if (k == MESSAGE_CAMPAIGNS) {
            struct campaign_status c = {.name = "summer",
                                        .tenant = "t",
                                        .class_name = "abc/f32",
                                        .total = 5,
                                        .done = 5,
                                        .labels = "a=b",
                                        .stopped = "memory",
                                        .completed = true};
            message_campaign_put(rows, &c);
        } else if (k == MESSAGE_SESSIONS) {
            struct worker_status s = {
                .session = "00ff", .class_name = "abc/f32", .label = "here", .lease_ms = -3, .state = "draining"};
            message_worker_put(rows, &s);
        } else if (k == MESSAGE_LISTED || k == MESSAGE_JOB_IS) {
            message_number_put(rows, "due", 3, 12);
        } else {
            struct message_row row = {.id = id, .n = {'d', 2, 3, 4}, .body = view("a body")};
            message_row_put(rows, &row);
        }
    }
    m.rows = (struct wire_view){rows->bytes, rows->len};
    return m;
}

static bool exists(int k)
{
    return strcmp(message_kind_name((enum message_kind)k), "?") != 0;
}

Test(message, every_kind_reads_back)
{
    for (int k = 0; k < MESSAGE_KIND_END_; k++) {
        if (!exists(k))
            continue;
        struct wire_writer rows;
        struct message m = full((enum message_kind)k, &rows), back;
        struct diag why = {""};
        uint8_t *bytes, *again;
        size_t len, len_again;
        cr_assert_eq(message_encode(&m, &bytes, &len), ST_OK);
        cr_assert_eq(message_decode(bytes, len, &back, &why), ST_OK, "%s: %s", message_kind_name(m.kind), why.text);
        cr_assert_eq(back.kind, m.kind);
        cr_assert_eq(back.request, 77);
        cr_assert_eq(message_encode(&back, &again, &len_again), ST_OK);
        cr_assert(len == len_again && memcmp(bytes, again, len) == 0, "%s", message_kind_name(m.kind));
        free(bytes);
        free(again);
        wire_writer_fini(&rows);
    }
}

Test(message, cut_short_at_any_byte_is_rejected)
{
    for (int k = 0; k < MESSAGE_KIND_END_; k++) {
        if (!exists(k))
            continue;
        struct wire_writer rows;
        struct message m = full((enum message_kind)k, &rows), back;
        uint8_t *bytes;
        size_t len;
        cr_assert_eq(message_encode(&m, &bytes, &len), ST_OK);
        for (size_t n = 0; n < len; n++) {
            uint8_t *cut = malloc(n ? n : 1);
            memcpy(cut, bytes, n);
            cr_assert_neq(message_decode(cut, n, &back, NULL), ST_OK);
            free(cut);
        }
        free(bytes);
        wire_writer_fini(&rows);
    }
}

Test(message, any_flipped_byte_is_survived)
{
    struct wire_writer rows;
    struct message m = full(MESSAGE_SUBMIT, &rows), back;
    uint8_t *bytes;
    size_t len;
    cr_assert_eq(message_encode(&m, &bytes, &len), ST_OK);
    for (size_t i = 0; i < len; i++)
        for (int v = 0; v < 256; v++) {
            uint8_t old = bytes[i];
            bytes[i] = (uint8_t)v;
            if (message_decode(bytes, len, &back, NULL) == ST_OK && back.kind == MESSAGE_SUBMIT) {
                struct wire_reader r;
                for (size_t n = message_rows_open(&back, &r); n > 0; n--)
                    cr_assert_not_null(message_row_next(&r).id);
            }
            bytes[i] = old;
        }
    free(bytes);
    wire_writer_fini(&rows);
}

/* The envelope by hand. */
static enum status decode(uint64_t version, uint64_t kind, void (*fields)(struct wire_writer *w), struct message *out,
                          struct diag *why)
{
    struct wire_writer w;
    wire_writer_init(&w, 100000);
    wire_put_array(&w, 4);
    wire_put_uint(&w, version);
    wire_put_uint(&w, kind);
    wire_put_uint(&w, 5);
    fields(&w);
    enum status s = message_decode(w.bytes, w.len, out, why);
    wire_writer_fini(&w);
    return s;
}

static void none(struct wire_writer *w)
{
    wire_put_map(w, 0);
}

Test(message, a_newer_version_is_refused_by_name)
{
    struct message m;
    struct diag why = {""};
    cr_assert_eq(decode(2, MESSAGE_PING, none, &m, &why), ST_UNSUPPORTED);
    cr_assert_str_eq(why.text, "the peer speaks protocol 2, this program speaks up to 1");
    cr_assert_eq(m.request, 5); /* so that the refusal can be sent to whoever asked */
    cr_assert_eq(decode(0, MESSAGE_PING, none, &m, &why), ST_UNSUPPORTED);
    cr_assert_eq(decode(1, 99, none, &m, &why), ST_UNSUPPORTED);
}

static void unknown_field(struct wire_writer *w)
{
    wire_put_map(w, 1);
    wire_put_str(w, "colour");
    wire_put_array(w, 2);
    wire_put_int(w, 1);
    wire_put_nil(w);
}

Test(message, fields_of_a_later_program_are_skipped)
{
    struct message m;
    cr_assert_eq(decode(1, MESSAGE_PING, unknown_field, &m, NULL), ST_OK);
}

static void twice(struct wire_writer *w)
{
    wire_put_map(w, 2);
    for (int i = 0; i < 2; i++) {
        wire_put_str(w, "text");
        wire_put_str(w, "x");
    }
}

static void short_session(struct wire_writer *w)
{
    wire_put_map(w, 1);
    wire_put_str(w, "session");
    wire_put_bin(w, "", 0);
}

static void long_name(struct wire_writer *w)
{
    char name[LIMIT_NAME_BYTES + 1];
    memset(name, 'x', sizeof name);
    wire_put_map(w, 1);
    wire_put_str(w, "campaign");
    wire_put_str_n(w, name, sizeof name);
}

Test(message, faults_name_their_field)
{
    struct message m;
    struct diag why = {""};
    cr_assert_eq(decode(1, MESSAGE_PONG, twice, &m, &why), ST_FORMAT);
    cr_assert_str_eq(why.text, "PONG: field \"text\" twice");
    cr_assert_eq(decode(1, MESSAGE_PONG, none, &m, &why), ST_FORMAT);
    cr_assert_str_eq(why.text, "PONG: field \"text\" is missing");
    cr_assert_eq(decode(1, MESSAGE_BEAT, short_session, &m, &why), ST_FORMAT);
    cr_assert_eq(decode(1, MESSAGE_STATUS, long_name, &m, &why), ST_LIMIT);
    cr_assert_str_eq(why.text, "STATUS: field \"campaign\" is over its limit");
}

static void big_body(struct wire_writer *w)
{
    static const uint8_t body[LIMIT_JOB_BYTES + 1];
    struct message_row row = {.id = id, .body = {body, sizeof body}};
    wire_put_map(w, 2);
    wire_put_str(w, "campaign");
    wire_put_str(w, "c");
    wire_put_str(w, "rows");
    wire_put_array(w, 1);
    message_row_put(w, &row);
}

Test(message, a_job_over_its_limit_is_refused)
{
    struct message m;
    cr_assert_eq(decode(1, MESSAGE_SUBMIT, big_body, &m, NULL), ST_LIMIT);
}

/* Kept for compatibility: these bytes must mean the same in every version 1 program. */
Test(message, golden_bytes)
{
    static const uint8_t golden[] = {0x94, 0x01, 0x22, 0x07, 0x83, 0xa7, 's', 'e',  's',  's', 'i', 'o', 'n', 0xc4,
                                     0x10, 's',  'e',  's',  's',  'i',  'o', 'n',  ' ',  'o', 'f', ' ', '1', '6',
                                     ' ',  'b',  0x00, 0xa3, 's',  'e',  'q', 0x03, 0xa4, 'w', 'a', 'n', 't', 0x20};
    struct message m = {
        .kind = MESSAGE_CREDIT, .request = 7, .session = {session, sizeof session}, .seq = 3, .want = 32};
    uint8_t *bytes;
    size_t len;
    cr_assert_eq(message_encode(&m, &bytes, &len), ST_OK);
    cr_assert(len == sizeof golden && memcmp(bytes, golden, len) == 0);
    free(bytes);
    cr_assert_eq(message_decode(golden, sizeof golden, &m, NULL), ST_OK);
    cr_assert(m.seq == 3 && m.want == 32);
}
