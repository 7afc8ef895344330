#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/children.h"

static struct children list;

static struct child *start(const char *name, const char *script)
{
    struct child *child = children_add(&list, name);
    child->argv[0] = "sh";
    child->argv[1] = "-c";
    child->argv[2] = script;
    cr_assert_eq(child_start(&list, child, NULL), ST_OK);
    return child;
}

static void init(void)
{
    list.log = (struct log){.component = "test", .level = LOG_ERROR};
    cr_assert_eq(children_init(&list, NULL), ST_OK);
}

/* Ticks until `pid` is another one. */
static bool restarted(const struct child *child, pid_t pid, int limit_ms)
{
    for (int64_t end = clock_ms() + limit_ms; clock_ms() < end;) {
        children_wait(&list, 20);
        if (child->pid && child->pid != pid)
            return true;
    }
    return false;
}

Test(children, what_is_killed_is_started_again, .init = init, .timeout = 20)
{
    struct child *child = start("sleeper", "exec sleep 60");
    pid_t first = child->pid;
    kill(first, SIGKILL);
    cr_expect(restarted(child, first, 5000));
    cr_expect_eq(child->last_exit, 128 + SIGKILL);
    cr_expect_eq(child->quick_ends, 1);
    children_stop(&list, "sleeper", 5000);
    cr_expect_eq(child->pid, 0);
}

Test(children, what_keeps_ending_is_started_later_and_later, .init = init, .timeout = 20)
{
    struct child *child = start("failing", "exit 3");
    int64_t begin = clock_ms();
    while (child->quick_ends < 3)
        children_wait(&list, 20);
    cr_expect_geq(clock_ms() - begin, 600, "200 ms, then 400 ms");
    cr_expect_eq(child->last_exit, 3);
    children_stop(&list, "failing", 1000);
}

Test(children, stop_reaches_a_prefix_only_and_kills_what_does_not_listen, .init = init, .timeout = 20)
{
    struct child *deaf = start("worker-0", "trap '' TERM; exec sleep 60");
    struct child *other = start("broker", "exec sleep 60");
    usleep(200000); /* the trap must be set before the signal comes; nothing tells when */
    int64_t begin = clock_ms();
    children_stop(&list, "worker", 500);
    cr_expect_geq(clock_ms() - begin, 500);
    cr_expect_eq(deaf->pid, 0);
    cr_expect_neq(other->pid, 0);
    children_stop(&list, "broker", 5000);
    cr_expect_eq(other->pid, 0);
}

Test(children, a_program_that_is_not_there_ends_with_127, .init = init, .timeout = 20)
{
    struct child *child = children_add(&list, "ghost");
    child->argv[0] = "/no/such/program";
    cr_assert_eq(child_start(&list, child, NULL), ST_OK);
    while (child->quick_ends < 1)
        children_wait(&list, 20);
    cr_expect_eq(child->last_exit, 127);
    children_stop(&list, "ghost", 1000);
}

Test(children, a_signal_to_the_parent_is_given_out, .init = init, .timeout = 20)
{
    kill(getpid(), SIGINT);
    cr_expect_eq(children_wait(&list, 1000), SIGINT);
    cr_expect_eq(children_wait(&list, 10), 0);
}

Test(children, a_stop_right_after_the_start_waits_for_the_programs_handler, .init = init, .timeout = 20)
{
    struct child *plain = children_add(&list, "plain"), *careful = children_add(&list, "careful");
    const char *const argv[] = {"grep", "-q", "SigBlk:.*4002$", "/proc/self/status"}; /* SIGTERM and SIGINT */
    memcpy(plain->argv, argv, sizeof argv);
    memcpy(careful->argv, argv, sizeof argv);
    careful->catches_stops = true;
    cr_assert_eq(child_start(&list, plain, NULL), ST_OK);
    cr_assert_eq(child_start(&list, careful, NULL), ST_OK);
    while (plain->quick_ends < 1 || careful->quick_ends < 1)
        children_wait(&list, 20);
    cr_expect_eq(plain->last_exit, 1);
    cr_expect_eq(careful->last_exit, 0);
    children_stop(&list, "", 1000);
}
