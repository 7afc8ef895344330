/* Makes the first, second, third... allocation of a scenario fail until the scenario runs through. Each time it must
 * say that memory is short and leave nothing behind (run under the address sanitizer to see the latter).
 *
 * malloc, calloc, realloc, strdup, strndup and asprintf of the libraries are replaced by the linker (--wrap), Jansson's
 * by its own hook. Allocations inside other shared libraries are theirs. */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/torture/torture.h"

static atomic_long allocations; /* since the scenario began */
static atomic_long fail_at;     /* number of the one that fails; 0: none */
static atomic_bool failed_once, rests;

void torture_rest(bool on)
{
    rests = on;
}

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_asprintf(char **out, const char *fmt, ...) PRINTF_LIKE(2, 3);

static bool fails(void)
{
    if (fail_at == 0 || rests || ++allocations != fail_at)
        return false;
    failed_once = true;
    errno = ENOMEM;
    return true;
}

/* Names that the linker makes up. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
    return fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
    return fails() ? NULL : __real_strndup(s, n);
}

int __wrap_asprintf(char **out, const char *fmt, ...)
{
    if (fails())
        return -1;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(out, fmt, args);
    va_end(args);
    return n;
}

static bool in_jansson;

static void *jansson_malloc(size_t n)
{
    return in_jansson ? __wrap_malloc(n) : __real_malloc(n);
}

static bool run_scenario(const struct scenario *s)
{
    enum { MOST = 200000 };
    char message[256];
    in_jansson = s->in_jansson;
    for (long n = 1; n < MOST; n++) {
        allocations = 0;
        failed_once = false;
        fail_at = n;
        enum status status = s->run();
        fail_at = 0;
        rests = false;
        if (!failed_once) {
            if (status != ST_OK) {
                snprintf(message, sizeof message, "without a failure it gives %s", status_word(status));
                printf("FAIL torture: %s: %s\n", s->name, message);
                return false;
            }
            printf("PASS torture: %s (%ld allocations)\n", s->name, n - 1);
            fflush(stdout);
            return true;
        }
        if (status != ST_NOMEM && !s->in_jansson && !(s->may_recover && status == ST_OK)) {
            printf("FAIL torture: %s: allocation %ld fails and the status is %s\n", s->name, n, status_word(status));
            return false;
        }
    }
    printf("FAIL torture: %s: no end\n", s->name);
    return false;
}

/* torture [TEXT]: of all scenarios, or of those with the text in their name. */
int main(int argc, char **argv)
{
    json_set_alloc_funcs(jansson_malloc, free);
    bool ok = true;
    for (const struct scenario *s = scenarios; s->name; s++) {
        if (argc > 1 && !strstr(s->name, argv[1]))
            continue;
        ok = run_scenario(s) && ok;
        if (s->end)
            s->end();
    }
    return ok ? 0 : 1;
}
