/* The index of results that are copied between images with the same bytes and questions. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/protocol/queue_case.h"

TestSuite(scripts_twins, .init = queue_case_start, .fini = queue_case_stop);

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define VALUE(id, uri_len, uri) id SHA uri_len "|" uri "{\"image\":{\"uri\":\"" uri "\",\"sha256\":\"" SHA "\"}}"
#define KEY1 "1-key-0000000000"
#define KEY2 "2-key-0000000000"
#define KEY3 "3-key-0000000000"
#define NOW1 VALUE(ID1, "3", "a:b")
#define NOW2 VALUE(ID2, "3", "c:d")
#define NOW3 VALUE(ID3, "3", "e:f")

static void tell(const char *most, const char *key, const char *value)
{
    expect(CALL(SCRIPT_TWINS, most, "1", key, value, key), 0, key);
}

static bool is_there(const char *key)
{
    struct store_answer a = CALL(SCRIPT_TWINS, "9", "0", key);
    bool there = a.reply.n == 2;
    store_answer_free(&a);
    return there;
}

Test(scripts_twins, what_was_told_is_found_under_its_key_alone)
{
    tell("9", KEY1, NOW1);
    struct store_answer a = CALL(SCRIPT_TWINS, "9", "0", KEY2, KEY1);
    cr_assert_eq(a.reply.n, 2);
    cr_assert(reply_is(&a.reply, 0, KEY1) && reply_is(&a.reply, 1, NOW1));
    store_answer_free(&a);
    cr_assert_eq(private_redis_field(&queue_redis, "{q:0}:use", "'twins found'"), 2);
}

Test(scripts_twins, the_first_result_stays)
{
    tell("9", KEY1, NOW1);
    expect(CALL(SCRIPT_TWINS, "9", "1", KEY1, NOW2, KEY1), 1, NOW1);
}

Test(scripts_twins, the_oldest_leave_above_the_cap)
{
    tell("2", KEY1, NOW1);
    tell("2", KEY2, NOW2);
    tell("2", KEY3, NOW3);
    cr_assert(!is_there(KEY1) && is_there(KEY2) && is_there(KEY3));
}

static void forget(const char *tombstone, const char *in_record)
{
    char place[64] = "";
    do {
        struct store_answer a = CALL(SCRIPT_FORGET, tombstone, "", in_record, place, "64");
        size_t len;
        const char *next = reply_bytes(&a.reply, 0, &len);
        snprintf(place, sizeof place, "%.*s", (int)len, next);
        store_answer_free(&a);
    } while (*place);
}

Test(scripts_twins, what_is_forgotten_leaves_the_index_and_does_not_come_back)
{
    tell("9", KEY1, NOW1);
    tell("9", KEY2, NOW2);
    forget("uri a:b", "\"uri\":\"a:b\"");
    cr_assert(!is_there(KEY1) && is_there(KEY2));
    struct store_answer a = CALL(SCRIPT_TWINS, "9", "1", KEY1, NOW1, KEY1); /* told too late */
    cr_assert_eq(a.reply.n, 0);
    store_answer_free(&a);
    forget("sha256 " SHA, "\"sha256\":\"" SHA "\"");
    cr_assert(!is_there(KEY2));
    a = CALL(SCRIPT_TWINS, "9", "1", KEY3, NOW3, KEY3);
    cr_assert_eq(a.reply.n, 0);
    store_answer_free(&a);
}

Test(scripts_twins, a_purged_campaign_leaves_the_index_and_others_stay)
{
    enum { ROWS = 300, STEPS = 100 };
    campaign("c");
    campaign("d");
    for (int i = 0; i < ROWS; i++) { /* more than one look takes */
        char key[ID_BYTES + 1], value[512];
        snprintf(key, sizeof key, "%c-%014d", i % 2 ? 'c' : 'd', i);
        snprintf(value, sizeof value, "%s%s3|a:b{\"campaign\":\"%c\"}", ID1, SHA, i % 2 ? 'c' : 'd');
        DO(SCRIPT_TWINS, "1000", "1", key, value);
    }
    DO(SCRIPT_CAMPAIGN_SET, "c", "purged", "", "\"campaign\":\"c\"");
    struct store_answer a = CALL(SCRIPT_SWEEP, "100");
    int steps = 1;
    for (; a.reply.integer > 0 && steps < STEPS; steps++) {
        store_answer_free(&a);
        a = CALL(SCRIPT_SWEEP, "100");
    }
    store_answer_free(&a);
    cr_assert(steps > 1 && steps < STEPS, "%d steps", steps);
    for (int i = 0; i < ROWS; i++) {
        char key[ID_BYTES + 1];
        snprintf(key, sizeof key, "%c-%014d", i % 2 ? 'c' : 'd', i);
        cr_assert_eq(is_there(key), i % 2 == 0, "%s", key);
    }
    expect(CALL(SCRIPT_TRIM, "c", "0", "1"), 0, "missing");
}

Test(scripts_twins, a_full_redis_takes_none_and_gives_what_it_has)
{
    enum { KEPT_US = 30000 };
    tell("9", KEY1, NOW1);
    private_redis_set(&queue_redis, "maxmemory", "1mb");
    usleep(KEPT_US);
    expect(CALL(SCRIPT_TWINS, "9", "1", KEY2, NOW2, KEY2, KEY1), 0, KEY1);
}
