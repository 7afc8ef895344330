/* Claims of media/cache.h. */
#include "media/cache.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static void open_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/cache-test-XXXXXX");
    cr_assert(mkdtemp(folder));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void close_folder(void)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(cache, .init = open_folder, .fini = close_folder, .timeout = 60);

static int64_t used;

static int add_size(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)at;
    used += type == FTW_F && !strstr(path, "/state") ? st->st_size : 0;
    return 0;
}

static int64_t bytes_used(void)
{
    used = 0;
    nftw(folder, add_size, 8, FTW_PHYS);
    return used;
}

static struct cache *open_cache(int64_t max_bytes)
{
    struct cache *c = NULL;
    struct diag why = {""};
    cr_assert_eq(cache_open(folder, max_bytes, &c, &why), ST_OK, "%s", why.text);
    return c;
}

static void put(struct cache *c, int key, size_t len)
{
    char name[32];
    struct bytes b = {.data = malloc(len + 1), .len = len};
    cr_assert(b.data);
    memset(b.data, 'a' + key % 26, len);
    snprintf(name, sizeof name, "key %d", key);
    cache_put(c, name, &b);
    bytes_fini(&b);
}

static bool has(struct cache *c, int key, size_t len)
{
    char name[32];
    struct bytes b = {0};
    snprintf(name, sizeof name, "key %d", key);
    if (cache_get(c, name, &b) != ST_OK)
        return false;
    bool same = b.len == len;
    for (size_t i = 0; i < len && same; i++)
        same = b.data[i] == 'a' + key % 26;
    cr_expect(same, "another content under key %d", key);
    bytes_fini(&b);
    return true;
}

Test(cache, what_was_put_is_there_also_for_another_process_and_after_a_restart)
{
    struct cache *c = open_cache(1 << 20), *other = open_cache(1 << 20);
    cr_expect_not(has(c, 1, 100));
    put(c, 1, 100);
    put(c, 2, 0);
    cr_expect(has(c, 1, 100) && has(other, 1, 100) && has(other, 2, 0));
    cache_close(c);
    cache_close(other);
    c = open_cache(1 << 20);
    cr_expect(has(c, 1, 100));
    cache_close(c);
}

Test(cache, the_budget_holds_and_the_least_recently_used_go_first)
{
    enum { BUDGET = 100000, EACH = 4000, MANY = 100 };
    struct cache *c = open_cache(BUDGET);
    for (int i = 0; i < MANY; i++) {
        put(c, i, EACH);
        cr_assert_leq(bytes_used(), BUDGET);
        cr_expect(has(c, 0, EACH), "the one that is asked for all the time is gone after %d", i);
    }
    cr_expect(has(c, MANY - 1, EACH));
    cr_expect_not(has(c, 1, EACH));
    put(c, 1000, BUDGET / 2);
    cr_expect_not(has(c, 1000, BUDGET / 2), "an entry that would push out most others");
    cache_close(c);
}

static int damage(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)at;
    if (type == FTW_F && !strstr(path, "/state")) {
        FILE *f = fopen(path, "r+b");
        cr_assert(f);
        fseek(f, st->st_size - 1, SEEK_SET);
        fputc('!', f);
        fclose(f);
    }
    return 0;
}

static int cut(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)at;
    return type == FTW_F && !strstr(path, "/state") ? truncate(path, st->st_size - 1) : 0;
}

Test(cache, a_damaged_or_cut_entry_is_none)
{
    struct cache *c = open_cache(1 << 20);
    put(c, 1, 100);
    nftw(folder, damage, 8, FTW_PHYS);
    cr_expect_not(has(c, 1, 100));
    put(c, 1, 100);
    cr_expect(has(c, 1, 100));
    nftw(folder, cut, 8, FTW_PHYS);
    cr_expect_not(has(c, 1, 100));
    cache_close(c);
}

Test(cache, a_folder_that_others_may_write_to_is_refused)
{
    struct cache *c = NULL;
    struct diag why = {""};
    cr_assert_eq(chmod(folder, 0777), 0);
    cr_expect_eq(cache_open(folder, 1 << 20, &c, &why), ST_REFUSED);
    cr_expect(strstr(why.text, folder), "%s", why.text);
}

enum { PROCESSES = 4, ROUNDS = 300, BUDGET_OF_ALL = 200000, LEN = 2000 };

static _Noreturn void hammer(int number)
{
    struct cache *c = NULL;
    if (cache_open(folder, BUDGET_OF_ALL, &c, NULL) != ST_OK)
        _exit(1);
    for (int i = 0; i < ROUNDS; i++) {
        int key = (i * 7 + number * 13) % 200;
        struct bytes b = {0};
        char name[32];
        put(c, key, LEN);
        snprintf(name, sizeof name, "key %d", (key + 5) % 200);
        if (cache_get(c, name, &b) == ST_OK && (b.len != LEN || b.data[LEN - 1] != 'a' + (key + 5) % 200 % 26))
            _exit(2);
        bytes_fini(&b);
    }
    _exit(0);
}

Test(cache, processes_that_share_it_read_whole_entries_and_keep_the_budget)
{
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        if ((pids[i] = fork()) == 0)
            hammer(i);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d: %x", i, (unsigned)status);
    }
    cr_expect_leq(bytes_used(), BUDGET_OF_ALL);
}
