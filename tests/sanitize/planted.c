/* Mistakes on purpose, one a run, each in a process that nobody watches: what run.sh must find.
 *   planted leak|overflow|undefined|confined-overflow|confined-undefined|race|nothing */
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "media/sandbox.h"

static volatile int shared = INT_MAX;
static volatile size_t eight = 8;
static void *volatile kept;

static void leak(void)
{
    kept = malloc(40);
    kept = NULL;
}

static void overflow(void)
{
    volatile char *bytes = malloc(eight);
    bytes[eight] = 'x';
    free((void *)(uintptr_t)bytes);
}

static void undefined(void)
{
    shared = shared + 1;
}

static void confined(void (*mistake)(void))
{
    unsigned parts = 0;
    if (sandbox_enter((int64_t)1 << 30, &parts) == ST_OK)
        mistake();
}

static void confined_overflow(void)
{
    confined(overflow);
}

static void confined_undefined(void)
{
    confined(undefined);
}

static void *set_shared(void *unused)
{
    (void)unused;
    shared = 1;
    return NULL;
}

static void race(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, set_shared, NULL) != 0)
            return;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void nothing(void)
{
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } mistakes[] = {{"leak", leak},
                    {"overflow", overflow},
                    {"undefined", undefined},
                    {"confined-overflow", confined_overflow},
                    {"confined-undefined", confined_undefined},
                    {"race", race},
                    {"nothing", nothing}};
    for (size_t i = 0; argc == 2 && i < sizeof mistakes / sizeof mistakes[0]; i++) {
        if (strcmp(argv[1], mistakes[i].name) != 0)
            continue;
        pid_t pid = fork();
        if (pid == 0) {
            fclose(stderr);
            mistakes[i].run();
            return 0;
        }
        return pid > 0 && waitpid(pid, NULL, 0) == pid ? 0 : 1;
    }
    return 2;
}
