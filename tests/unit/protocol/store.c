#include "protocol/store.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/protocol/private_redis.h"

enum { CALL_MS = 5000 };

Test(store, addresses_that_are_none_are_refused)
{
    struct store *s;
    struct diag why = {""};
    const char *bad[] = {"", "host:", "host:99999", ":6379", "tcp://"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(store_open(bad[i], 1, &s, &why), ST_INVALID, "%s", bad[i]);
}

Test(store, nobody_there_is_said_within_the_timeout)
{
    struct store *s;
    struct diag why = {""};
    cr_assert_eq(store_open("/tmp/no-redis-here.sock", 1, &s, NULL), ST_OK);
    int64_t from = clock_ms();
    cr_assert_eq(store_wait_ready(s, 150, &why), ST_IO);
    cr_assert_lt(clock_ms() - from, 2000);
    cr_assert(strstr(why.text, "/tmp/no-redis-here.sock"));
    struct store_args none = {0};
    cr_assert_eq(store_send(s, SCRIPT_BOOT, &none, 0), ST_BUSY);
    store_close(s);
}

static long long boot(struct store *s)
{
    struct store_args args = {0};
    store_arg_u64(&args, 1);
    store_arg_u64(&args, 1);
    struct store_answer a;
    struct diag why = {""};
    cr_assert_eq(store_call(s, SCRIPT_BOOT, &args, CALL_MS, &a, &why), ST_OK, "%s", why.text);
    long long version = reply_number(&a.reply, 0);
    store_args_fini(&args);
    store_answer_free(&a);
    return version;
}

Test(store, calls_survive_a_killed_redis_and_forgotten_scripts)
{
    struct private_redis r;
    private_redis_start(&r, "always");
    struct store *s = private_redis_store(&r);
    cr_assert_eq(boot(s), 1);
    private_redis_kill(&r);
    struct store_args none = {0};
    struct store_answer a;
    cr_assert_eq(store_call(s, SCRIPT_WORKERS, &none, 300, &a, NULL), ST_IO);
    private_redis_again(&r, "always");
    cr_assert_eq(boot(s), 1);

    private_redis_forget_scripts(&r);
    cr_assert_eq(store_call(s, SCRIPT_WORKERS, &none, CALL_MS, &a, NULL), ST_IO); /* lost, loads again */
    cr_assert_eq(boot(s), 1);
    store_close(s);
    private_redis_stop(&r);
}

Test(store, who_calls_a_few_scripts_loads_these_alone)
{
    struct private_redis r;
    private_redis_start(&r, "always");
    struct store *s;
    cr_assert_eq(store_open(r.socket, 1, &s, NULL), ST_OK);
    store_use_only(s, (uint64_t)1 << SCRIPT_BOOT | (uint64_t)1 << SCRIPT_WORKERS);
    cr_assert_eq(boot(s), 1);
    char command[160];
    int loaded = 0;
    snprintf(command, sizeof command, "redis-cli -s %s info memory | grep number_of_cached_scripts", r.socket);
    FILE *f = popen(command, "r");
    cr_assert(f && fscanf(f, "number_of_cached_scripts:%d", &loaded) == 1);
    pclose(f);
    cr_assert_eq(loaded, 2);
    private_redis_forget_scripts(&r);
    struct store_args none = {0};
    struct store_answer a;
    cr_assert_eq(store_call(s, SCRIPT_WORKERS, &none, CALL_MS, &a, NULL), ST_IO); /* lost, loads again */
    cr_assert_eq(boot(s), 1);
    store_close(s);
    private_redis_stop(&r);
}

Test(store, calls_on_the_way_come_back_as_lost)
{
    struct private_redis r;
    private_redis_start(&r, "always");
    struct store *s = private_redis_store(&r);
    signal(SIGPIPE, SIG_IGN);
    struct store_args none = {0};
    for (uint64_t tag = 0; tag < 100; tag++)
        cr_assert_eq(store_send(s, SCRIPT_WORKERS, &none, tag), ST_OK);
    private_redis_kill(&r);
    struct store_answer a;
    uint64_t seen = 0;
    for (int64_t until = clock_ms() + CALL_MS; seen < 100 && clock_ms() < until;) {
        store_pump(s, clock_ms());
        while (store_take(s, &a)) {
            cr_assert_eq(a.tag, seen++);
            store_answer_free(&a);
        }
        usleep(1000);
    }
    cr_assert_eq(seen, 100);
    cr_assert_eq(store_pending(s), 0);
    store_close(s);
    private_redis_stop(&r);
}

Test(store, unsafe_settings_are_named)
{
    struct private_redis r;
    private_redis_start(&r, "everysec");
    struct store *s = private_redis_store(&r);
    struct diag why = {""};
    cr_assert_eq(store_check_safety(s, CALL_MS, &why), ST_REFUSED);
    cr_assert(strstr(why.text, "appendfsync is everysec, not always"), "%s", why.text);
    store_close(s);
    private_redis_stop(&r);
    private_redis_start(&r, "always");
    s = private_redis_store(&r);
    cr_assert_eq(store_check_safety(s, CALL_MS, &why), ST_OK, "%s", why.text);
    private_redis_set(&r, "no-appendfsync-on-rewrite", "yes");
    cr_assert_eq(store_check_safety(s, CALL_MS, &why), ST_REFUSED);
    cr_assert(strstr(why.text, "no-appendfsync-on-rewrite is yes, not no"), "%s", why.text);
    private_redis_set(&r, "no-appendfsync-on-rewrite", "no");
    private_redis_set(&r, "maxmemory", "0");
    cr_assert_eq(store_check_safety(s, CALL_MS, &why), ST_REFUSED);
    cr_assert(strstr(why.text, "maxmemory is 0"), "%s", why.text);
    store_close(s);
    private_redis_stop(&r);
}
