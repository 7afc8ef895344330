/* What users of Redis may do follows from what their scripts call. */
#include "protocol/redis_users.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/script_commands.h"
#include "protocol/script_hash.h"
#include "protocol/script_pick.h"
#include "tests/unit/protocol/queue_case.h"

static bool has(const struct script_commands *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->names[i], name) == 0)
            return true;
    return false;
}

Test(script_commands, a_script_is_followed_into_the_functions_it_comes_by)
{
    struct script_commands beat = {.n = 0}, walk = {.n = 0};
    cr_assert_eq(script_commands_add(&beat, SCRIPT_HEARTBEAT), ST_OK);
    cr_assert(has(&beat, "zscore") && has(&beat, "time"), "its own, and those of now_ms");
    cr_assert(!has(&beat, "rpush") && !has(&beat, "lpop") && !has(&beat, "del"),
              "of functions that it does not come by");
    cr_assert_eq(script_commands_add(&walk, SCRIPT_FSCK_WALK), ST_OK);
    cr_assert(has(&walk, "scan") && has(&walk, "hscan") && has(&walk, "zscan"));
    for (size_t i = 1; i < walk.n; i++)
        cr_assert_lt(strcmp(walk.names[i - 1], walk.names[i]), 0, "in order, each once");
}

static char *picked(const char *common, const char *own)
{
    char *text, *copy;
    size_t len;
    cr_assert_eq(script_pick(common, strlen(common), own, strlen(own), &text, &len), ST_OK);
    copy = strndup(text, len);
    free(text);
    return copy;
}

Test(script_pick, a_script_has_what_it_comes_by_and_nothing_else_in_front)
{
    static const char common[] =
        "-- one() is named here\nlocal K = KEYS[1]\nlocal a, b = 1, 2\n\nlocal function one()\n"
        "    return K -- two\nend\n\nlocal function two()\n    return one() + b\nend\n";
    static const struct {
        const char *own, *want;
    } cases[] = {
        {"return 1", "return 1"},
        {"return K.one", "local K = KEYS[1]\nlocal function one()\n    return K \nend\n\nreturn K.one"},
        {"-- two\nreturn bb", "-- two\nreturn bb"},
        {"return a", "local a, b = 1, 2\n\nreturn a"},
        {"two()", "local K = KEYS[1]\nlocal a, b = 1, 2\n\nlocal function one()\n    return K \nend\n\n"
                  "local function two()\n    return one() + b\nend\ntwo()"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = picked(common, cases[i].own);
        cr_expect_str_eq(text, cases[i].want);
        free(text);
    }
}

Test(script_commands, no_call_hides_its_command)
{
    for (int s = 0; s < SCRIPT_COUNT_; s++) {
        char *text;
        size_t len;
        cr_assert_eq(script_text((enum script)s, &text, &len), ST_OK);
        for (const char *at = memmem(text, len, "call(", 5); at;
             at = memmem(at + 1, len - (size_t)(at + 1 - text), "call(", 5))
            cr_expect(at[5] == '\'', "%s: %.30s", script_name((enum script)s), at);
        free(text);
    }
}

Test(script_hash, texts_have_the_hash_that_the_standard_says)
{
    static const char a[] = "abc", b[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char hex[SCRIPT_HASH_HEX], long_text[1000];
    script_hash(a, 3, hex);
    cr_assert_str_eq(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    script_hash(b, strlen(b), hex);
    cr_assert_str_eq(hex, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    script_hash("", 0, hex);
    cr_assert_str_eq(hex, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    memset(long_text, 'a', sizeof long_text);
    script_hash(long_text, sizeof long_text, hex);
    cr_assert_str_eq(hex, "291e9a6c66994949b57ba5e650361e98fc36b1ba");
}

Test(redis_users, the_file_has_one_user_a_role_and_no_password)
{
    const char *const passwords[REDIS_USER_COUNT_] = {"geheim-1", "geheim-2", "geheim-3", "geheim-4"};
    char *text;
    cr_assert_eq(redis_users_acl(passwords, &text), ST_OK);
    cr_assert(strncmp(text, "user default off\n", 17) == 0);
    cr_assert_null(strstr(text, "geheim"));
    for (int u = 0; u < REDIS_USER_COUNT_; u++) {
        char line[64];
        snprintf(line, sizeof line, "\nuser %s on #", redis_user_name((enum redis_user)u));
        cr_assert(strstr(text, line), "%s", line);
    }
    const char *worker = strstr(text, "user ferret-worker"), *end = strchr(worker, '\n');
    static const char *const never[] = {"script", "+eval ", "+keys", "flush", "config", "+scan", "~*", "@all +@"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        cr_expect_null(memmem(worker, (size_t)(end - worker), never[i], strlen(never[i])), "%s", never[i]);
    free(text);
}

TestSuite(store_login, .init = queue_case_start, .fini = queue_case_stop);

static struct store *log_in(const struct store_login *l)
{
    struct store *s;
    cr_assert_eq(store_open(queue_redis.socket, 1, &s, NULL), ST_OK);
    store_log_in(s, l);
    return s;
}

Test(store_login, who_may_not_load_scripts_runs_those_that_others_have_loaded)
{
    const struct store_login l = {.user = "default", .password = "any", .loads = false};
    struct store *s = log_in(&l);
    struct store_args args = {0};
    struct store_answer a;
    struct diag why = {""};
    store_arg_str(&args, "nobody");
    store_arg_str(&args, "1000");
    hello("s1"); /* by one who loads */
    cr_assert_eq(store_call(s, SCRIPT_HEARTBEAT, &args, 5000, &a, &why), ST_OK, "%s", why.text);
    cr_assert(reply_is(&a.reply, 0, "gone"));
    store_answer_free(&a);
    char command[128];
    snprintf(command, sizeof command, "redis-cli -s %s SCRIPT FLUSH >/dev/null", queue_redis.socket);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(store_call(s, SCRIPT_HEARTBEAT, &args, 300, &a, &why), ST_IO);
    cr_assert(strstr(why.text, "no broker has loaded the scripts"), "%s", why.text);
    store_args_fini(&args);
    store_close(s);
}

Test(store_login, a_wrong_password_is_said)
{
    const struct store_login l = {.user = "nobody", .password = "wrong", .loads = true};
    struct store *s = log_in(&l);
    struct diag why = {""};
    cr_assert_eq(store_wait_ready(s, 300, &why), ST_IO);
    cr_assert(strstr(why.text, "WRONGPASS"), "%s", why.text);
    store_close(s);
}
