/* File to record: `ferret annotate` over the end-to-end corpus, the process's start included, and without it: what the
 * corpus costs when it is named once more often. `annotate FOLDER`, from the repository's root. */
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/bench/bench.h"

enum { ROUNDS = 3, MANY = 6 };
static const char corpus[] = "tests/e2e/corpus/files";

static int count_lines(const char *path)
{
    FILE *f = fopen(path, "r");
    CHECK(f);
    int n = 0;
    for (int c = getc(f); c != EOF; c = getc(f))
        n += c == '\n';
    fclose(f);
    return n;
}

/* Seconds of one run over the corpus named `times` times; *records is what it wrote. */
static double run(const char *program, const char *out, int times, int *records)
{
    const char *args[MANY + 6] = {program, "annotate"};
    int n = 2, status;
    for (int i = 0; i < times; i++)
        args[n++] = corpus;
    args[n++] = "-o";
    args[n++] = out;
    int64_t start = clock_us();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        int nothing = open("/dev/null", O_WRONLY);
        dup2(nothing, STDERR_FILENO);
        execv(program, (char *const *)(uintptr_t)args);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    double seconds = (double)(clock_us() - start) / 1e6;
    /* 1: the corpus holds a broken file. */
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    *records = count_lines(out);
    unlink(out);
    return seconds;
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    char program[512], out[512];
    const char *slash = strrchr(argv[0], '/');
    snprintf(program, sizeof program, "%.*s/../../bin/ferret", slash ? (int)(slash - argv[0]) : 1,
             slash ? argv[0] : ".");
    snprintf(out, sizeof out, "%s/annotate.jsonl", argv[1]);
    double once = 0, often = 0;
    int n_once = 0, n_often = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double a = run(program, out, 1, &n_once), b = run(program, out, MANY, &n_often);
        CHECK(n_once > 0 && n_often == MANY * n_once);
        once = round == 0 || a < once ? a : once;
        often = round == 0 || b < often ? b : often;
    }
    CHECK(often > once);
    double running = (n_often - n_once) / (often - once);
    measure_write(argv[1], &(struct measure){"files.annotate", "images/s", n_once / once, running, 0});
    measure_write(argv[1], &(struct measure){"files.annotate-running", "images/s", running, 0, 0});
    return 0;
}
