/* The client against a broker that the test plays: lost answers, refusals, brokers that go and come back. */
#include "protocol/client.h"

#include <pthread.h>

#include "tests/unit/protocol/played_broker.h"

enum { TIMEOUT_MS = 3000 };

static struct played broker;
static struct client *client;

/* What is asked of the client runs on another thread; the test answers. */
static enum status (*asked)(struct diag *why);
static pthread_t asker;
static enum status said;
static struct diag said_why;

static void *run(void *arg)
{
    (void)arg;
    said = asked(&said_why);
    return NULL;
}

static void ask(enum status (*fn)(struct diag *why))
{
    asked = fn;
    said_why.text[0] = '\0';
    cr_assert_eq(pthread_create(&asker, NULL, run, NULL), 0);
}

static void expect_said(enum status want)
{
    pthread_join(asker, NULL);
    cr_expect_eq(said, want, "%s: %s", status_word(said), said_why.text);
}

static enum status do_open(struct diag *why)
{
    struct client_options o = {.address = broker.address, .timeout_ms = TIMEOUT_MS};
    return client_open(&o, &client, why);
}

static void set_up(void)
{
    played_open(&broker);
    ask(do_open);
    played_expect(&broker, MESSAGE_PING);
    played_answer(&broker, (struct message){.kind = MESSAGE_PONG, .text = played_text("played")});
    expect_said(ST_OK);
}

static void tear_down(void)
{
    client_close(client);
    played_close(&broker);
}

TestSuite(client, .init = set_up, .fini = tear_down, .timeout = 60);

/* ---- questions --------------------------------------------------------------------------------------------------- */

static struct campaign_status found;

static enum status do_status(struct diag *why)
{
    return client_status(client, "c", &found, why);
}

static void answer_campaign(uint64_t total, uint64_t done)
{
    struct campaign_status c = {.name = "c", .tenant = "t", .total = total, .ready = total - done, .done = done};
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, 1);
    message_campaign_put(&w, &c);
    played_answer(&broker, (struct message){.kind = MESSAGE_CAMPAIGNS, .rows = {w.bytes, w.len}});
    wire_writer_fini(&w);
}

Test(client, a_question_without_an_answer_is_asked_again)
{
    ask(do_status);
    uint64_t request = played_expect(&broker, MESSAGE_STATUS)->request;
    cr_expect_eq(played_expect(&broker, MESSAGE_STATUS)->request, request);
    answer_campaign(5, 2);
    expect_said(ST_OK);
    cr_expect(found.total == 5 && found.done == 2);
}

Test(client, no_broker_is_a_timeout_that_names_the_address)
{
    ask(do_status);
    expect_said(ST_TIMEOUT);
    cr_expect_not_null(strstr(said_why.text, broker.address), "%s", said_why.text);
}

Test(client, redis_away_is_asked_again_until_it_is_back)
{
    ask(do_status);
    played_expect(&broker, MESSAGE_STATUS);
    played_error(&broker, CODE_STORE, "Redis is away");
    played_expect(&broker, MESSAGE_STATUS);
    answer_campaign(1, 1);
    expect_said(ST_OK);
}

Test(client, what_a_broker_refuses_comes_with_its_sentence)
{
    static const struct {
        enum message_code code;
        enum status want;
    } rows[] = {{CODE_MISSING, ST_MISSING}, {CODE_REFUSED, ST_REFUSED}, {CODE_VERSION, ST_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ask(do_status);
        played_expect(&broker, MESSAGE_STATUS);
        played_error(&broker, rows[i].code, "because of this");
        expect_said(rows[i].want);
        cr_expect_not_null(strstr(said_why.text, "because of this"), "%s", said_why.text);
    }
}

Test(client, a_broker_that_speaks_a_newer_version_is_refused_by_name)
{
    static const char newer[] = "\x94\x02\x06\x02\x80"; /* [2, CAMPAIGNS, 2, {}] */
    ask(do_status);
    played_expect(&broker, MESSAGE_STATUS);
    played_answer_bytes(&broker, newer, sizeof newer - 1);
    expect_said(ST_UNSUPPORTED);
    cr_expect(strchr(said_why.text, '2') && strchr(said_why.text, '1'), "%s", said_why.text);
}

Test(client, an_answer_of_another_kind_is_no_answer)
{
    ask(do_status);
    played_expect(&broker, MESSAGE_STATUS);
    played_answer(&broker, (struct message){.kind = MESSAGE_PONG, .text = played_text("x")});
    expect_said(ST_FORMAT);
}

static enum status do_campaign(struct diag *why)
{
    struct campaign_spec spec = {.name = "c", .pin = "p"};
    return client_campaign(client, &spec, &found, why);
}

Test(client, a_campaign_without_workers_is_busy)
{
    ask(do_campaign);
    const struct message *m = played_expect(&broker, MESSAGE_CAMPAIGN);
    cr_expect(wire_view_is(m->tenant, "default") && m->class_name.len == 0);
    played_error(&broker, CODE_NO_CLASS, "0 kinds of workers");
    expect_said(ST_BUSY);
}

/* ---- submit ------------------------------------------------------------------------------------------------------ */

enum { BATCH = 64, THREE_BATCHES = 3 * BATCH };

static int to_submit = THREE_BATCHES;
static bool with_places;

/* Everything in one call chain: submit, then flush. */
static enum status do_submit(struct diag *why)
{
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < to_submit; i++) {
        char key[32];
        struct place after = {.manifest = "manifest", .offset = (uint64_t)i + 1};
        snprintf(key, sizeof key, "job-%d", i);
        const struct job job = played_caption(key);
        s = client_submit(client, &job, with_places ? &after : NULL, why);
    }
    return s == ST_OK ? client_flush(client, why) : s;
}

static size_t rows_of(const struct message *m)
{
    struct wire_reader r;
    return message_rows_open(m, &r);
}

static void accept(char letter)
{
    char statuses[BATCH + 1] = "";
    memset(statuses, letter, rows_of(&broker.message));
    played_answer(&broker,
                  (struct message){.kind = MESSAGE_ACCEPTED, .statuses = played_text(statuses), .unfinished = 7});
}

/* Answers every SUBMIT until the client says that it is done. */
static void accept_the_rest(char letter)
{
    while (pthread_tryjoin_np(asker, NULL) != 0)
        if (played_next(&broker, 50) && broker.message.kind == MESSAGE_SUBMIT)
            accept(letter);
    cr_expect_eq(said, ST_OK, "%s: %s", status_word(said), said_why.text);
}

Test(client, submit_counts_what_was_new_there_already_and_finished)
{
    ask(do_submit);
    for (size_t jobs = 0; jobs < THREE_BATCHES;) {
        size_t n = rows_of(played_expect(&broker, MESSAGE_SUBMIT));
        accept(jobs < BATCH ? 'n' : jobs < 2 * BATCH ? 'd' : 'f');
        jobs += n;
    }
    expect_said(ST_OK);
    struct submit_counts c = client_submit_counts(client);
    cr_expect_eq(c.accepted + c.duplicate + c.finished, THREE_BATCHES);
    cr_expect(c.accepted >= BATCH && c.duplicate > 0 && c.finished > 0 && c.unfinished == 7);
}

Test(client, every_job_travels_under_the_id_of_its_tenant_campaign_and_key)
{
    to_submit = 1;
    ask(do_submit);
    const struct message *m = played_expect(&broker, MESSAGE_SUBMIT);
    struct wire_reader r;
    cr_assert_eq(message_rows_open(m, &r), 1);
    struct message_row row = message_row_next(&r);
    struct job_name name;
    uint8_t id[ID_BYTES];
    cr_assert_eq(job_name_read(row.body.bytes, row.body.len, &name), ST_OK);
    job_name_id(&name, id);
    cr_expect(memcmp(id, row.id, ID_BYTES) == 0 && wire_view_same(name.campaign, m->campaign));
    accept('n');
    expect_said(ST_OK);
}

Test(client, busy_and_a_lost_answer_mean_the_same_batch_once_more)
{
    to_submit = 2;
    ask(do_submit);
    uint64_t request = played_expect(&broker, MESSAGE_SUBMIT)->request;
    played_answer(&broker, (struct message){.kind = MESSAGE_BUSY, .retry_ms = 10, .unfinished = 9});
    cr_expect_eq(played_expect(&broker, MESSAGE_SUBMIT)->request, request);
    cr_expect_eq(played_expect(&broker, MESSAGE_SUBMIT)->request, request); /* this one's answer was lost */
    accept('n');
    expect_said(ST_OK);
    cr_expect_eq(client_submit_counts(client).accepted, 2);
}

Test(client, a_submit_that_waits_for_redis_can_say_so)
{
    to_submit = 2;
    ask(do_submit);
    played_expect(&broker, MESSAGE_SUBMIT);
    played_error(&broker, CODE_STORE, "Redis is away");
    played_expect(&broker, MESSAGE_SUBMIT);
    cr_expect_str_eq(client_submit_busy(client), "Redis is away");
    accept('n');
    expect_said(ST_OK);
    cr_expect_str_empty(client_submit_busy(client));
}

Test(client, a_batch_answered_twice_counts_once)
{
    to_submit = 2;
    ask(do_submit);
    played_expect(&broker, MESSAGE_SUBMIT);
    accept('n');
    accept('n');
    expect_said(ST_OK);
    cr_expect_eq(client_submit_counts(client).accepted, 2);
}

Test(client, a_broker_that_went_and_came_back_is_given_what_it_had_not_accepted)
{
    ask(do_submit);
    played_expect(&broker, MESSAGE_SUBMIT);
    accept('n');
    played_close(&broker);
    played_open(&broker);
    accept_the_rest('d');
    struct submit_counts c = client_submit_counts(client);
    cr_expect_eq(c.accepted + c.duplicate, THREE_BATCHES);
}

/* Three batches: the second one is accepted first, and the place must not move past the first. */
Test(client, a_place_is_committed_once_everything_in_front_of_it_is_accepted)
{
    with_places = true;
    ask(do_submit);
    uint64_t first = played_expect(&broker, MESSAGE_SUBMIT)->request, last_place = 0;
    bool first_accepted = false;
    int others = 0;
    while (pthread_tryjoin_np(asker, NULL) != 0) {
        if (!played_next(&broker, 50) || broker.message.kind != MESSAGE_SUBMIT)
            continue;
        const struct message *m = &broker.message;
        if (m->manifest.len) {
            cr_expect(first_accepted, "a place went out in front of what is not accepted");
            last_place = m->offset;
        }
        if (m->request == first && others < 2)
            continue; /* nobody answers it yet: it comes again */
        first_accepted = first_accepted || m->request == first;
        others += m->request != first;
        accept('n');
    }
    cr_expect_eq(said, ST_OK, "%s", said_why.text);
    cr_expect_eq(last_place, THREE_BATCHES, "the last place is not committed");
}

Test(client, a_refused_submit_says_so_at_once_and_stays_refused)
{
    to_submit = 1;
    ask(do_submit);
    played_expect(&broker, MESSAGE_SUBMIT);
    played_error(&broker, CODE_REFUSED, "the campaign is cancelled");
    expect_said(ST_REFUSED);
    cr_expect_not_null(strstr(said_why.text, "cancelled"));
    ask(do_submit);
    expect_said(ST_REFUSED);
}

static bool give_up(void *ctx, const struct submit_counts *counts)
{
    (void)ctx;
    (void)counts;
    return false;
}

Test(client, whoever_waits_for_room_may_give_up)
{
    to_submit = 1;
    client_on_wait(client, give_up, NULL);
    ask(do_submit);
    expect_said(ST_CANCELLED);
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

static struct result_cursor cursor;
static bool more;
static int seen, stop_after = 100;

static bool see(void *ctx, const uint8_t id[ID_BYTES], const char *record, size_t len)
{
    (void)ctx;
    cr_expect(len == 2 && memcmp(record, "{}", 2) == 0 && id[0] == 'i');
    return ++seen < stop_after;
}

static enum status do_results(struct diag *why)
{
    return client_results(client, "c", &cursor, see, NULL, &more, why);
}

static void answer_records(uint64_t next, size_t n, bool further)
{
    struct wire_writer w;
    wire_writer_init(&w, LIMIT_FRAME_BYTES);
    wire_put_array(&w, n);
    for (size_t i = 0; i < n; i++) {
        struct message_row row = {.id = (const uint8_t *)"id of 16 bytes..", .body = played_text("{}")};
        message_row_put(&w, &row);
    }
    played_answer(&broker,
                  (struct message){.kind = MESSAGE_RECORDS, .cursor = next, .more = further, .rows = {w.bytes, w.len}});
    wire_writer_fini(&w);
}

Test(client, results_move_the_cursor_behind_the_last_one_given_out)
{
    ask(do_results);
    cr_expect_eq(played_expect(&broker, MESSAGE_RESULTS)->cursor, 0);
    answer_records(12, 2, true); /* 0 to 9 were trimmed */
    expect_said(ST_OK);
    cr_expect(cursor.at[0] == 12 && seen == 2 && more);
    stop_after = 3;
    ask(do_results);
    cr_expect_eq(played_expect(&broker, MESSAGE_RESULTS)->cursor, 12);
    answer_records(15, 3, false);
    expect_said(ST_CANCELLED);
    cr_expect_eq(cursor.at[0], 13);
}

static enum status do_trim(struct diag *why)
{
    const struct result_cursor c = {.at = {1000}, .shards = 1};
    return client_trim(client, "c", &c, why);
}

Test(client, trim_goes_on_until_nothing_is_left_in_front_of_the_cursor)
{
    ask(do_trim);
    played_expect(&broker, MESSAGE_TRIM);
    played_answer(&broker, (struct message){.kind = MESSAGE_TRIMMED, .cursor = 512, .more = 1});
    played_expect(&broker, MESSAGE_TRIM);
    played_answer(&broker, (struct message){.kind = MESSAGE_TRIMMED, .cursor = 1000});
    expect_said(ST_OK);
}
