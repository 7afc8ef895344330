#include "observe/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"

struct trace {
    int pipe; /* to the writer */
    pid_t writer;
    int process;
    char *path;
};

/* ---- the writer -------------------------------------------------------------------------------------------------- */

static const char head[] = "[\n", tail[] = "\n]\n";

struct writer {
    int in, file;
    off_t end; /* where the tail stands */
    int trouble;
};

/* Whole lines take the tail's place and bring a new one. Where there is no room the file stays as it was. */
static void append(struct writer *w, char *lines, size_t len)
{
    struct {
        const char *bytes;
        size_t len;
    } parts[] = {{lines, len - 1}, {tail, sizeof tail - 1}}; /* the last line's end is the tail's beginning */
    off_t at = w->end;
    for (int i = 0; i < 2 && w->trouble == 0; i++) {
        ssize_t n = pwrite(w->file, parts[i].bytes, parts[i].len, at);
        if (n != (ssize_t)parts[i].len)
            w->trouble = n < 0 ? errno : ENOSPC;
        at += n;
    }
    if (w->trouble == 0)
        w->end = at - (off_t)(sizeof tail - 1);
    else if (pwrite(w->file, tail, sizeof tail - 1, w->end) < 0 ||
             ftruncate(w->file, w->end + (off_t)sizeof tail - 1) != 0)
        w->trouble = errno;
}

/* Until the other end of the pipe is closed, by whatever way its process ends. */
static void copy_lines(struct writer *w)
{
    enum { ROOM = 1 << 16 };
    static char buffer[ROOM];
    size_t n = 0;
    ssize_t got;
    while ((got = read(w->in, buffer + n, sizeof buffer - n)) > 0 || (got < 0 && errno == EINTR)) {
        n += got > 0 ? (size_t)got : 0;
        char *last = memrchr(buffer, '\n', n);
        size_t whole = last ? (size_t)(last - buffer) + 1 : 0;
        if (whole && w->trouble == 0)
            append(w, buffer, whole);
        memmove(buffer, buffer + whole, n - whole);
        n -= whole;
    }
}

/* Ctrl-C is not for this process: it ends after its parent. It holds nothing open that others wait for. */
static int run_writer(int in, int file)
{
    struct writer w = {.in = in, .file = file, .end = sizeof head - 1};
    setpgid(0, 0);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    for (long fd = sysconf(_SC_OPEN_MAX) < 1024 ? sysconf(_SC_OPEN_MAX) : 1024; fd >= 0; fd--)
        if (fd != in && fd != file)
            close((int)fd);
    copy_lines(&w);
    return w.trouble;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* One write of at most PIPE_BUF bytes goes through the pipe in one piece, whoever writes beside. format: members of the
 * event; process and thread are added. Every event but the first begins with the comma behind the one before. */
static void put(const struct trace *t, bool first, const char *format, ...) PRINTF_LIKE(3, 4);
static void put(const struct trace *t, bool first, const char *format, ...)
{
    enum { IN_ONE_PIECE = 4096 };
    char line[IN_ONE_PIECE];
    va_list args;
    int n = snprintf(line, sizeof line, "%s{\"pid\":%d,\"tid\":%d,", first ? "" : ",", t->process, (int)gettid());
    va_start(args, format);
    n += vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    va_end(args);
    if (n > (int)sizeof line - 3)
        return; /* an event less */
    memcpy(line + n, "}\n", 2);
    if (write(t->pipe, line, (size_t)n + 2) < 0)
        return; /* the writer says at its end what was the matter */
}

/* As a JSON string with its quotes; malloc'ed, or NULL: memory is short, or the text is not UTF-8. */
static char *quoted(const char *text)
{
    struct json *value = jsn_new_string(text ? text : "");
    char *out = value ? jsn_text(value) : NULL;
    jsn_free(value);
    return out;
}

static enum status start_writer(struct trace *t, struct diag *why)
{
    int ends[2];
    int file = open(t->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = file >= 0 && write(file, head, sizeof head - 1) == sizeof head - 1 &&
              write(file, tail, sizeof tail - 1) == sizeof tail - 1 && pipe2(ends, O_CLOEXEC) == 0;
    if (ok) {
        t->writer = fork();
        if (t->writer == 0)
            _exit(run_writer(ends[0], file));
        ok = t->writer > 0;
        t->pipe = ends[1];
        close(ends[0]);
    }
    enum status s = ok ? ST_OK : diag_set(why, ST_IO, "%s: %s", t->path, strerror(errno));
    if (file >= 0)
        close(file);
    return s;
}

enum status trace_open(const char *path, const char *program, struct trace **out, struct diag *why)
{
    struct trace *t = calloc(1, sizeof *t);
    if (!t)
        return ST_NOMEM;
    t->pipe = -1;
    t->process = (int)getpid();
    t->path = strdup(path);
    enum status s = t->path ? start_writer(t, why) : ST_NOMEM;
    if (s != ST_OK) {
        (void)trace_close(t, NULL);
        return s;
    }
    put(t, true, "\"ph\":\"M\",\"name\":\"process_name\",\"args\":{\"name\":\"%s\"}", program);
    *out = t;
    return ST_OK;
}

enum status trace_close(struct trace *t, struct diag *why)
{
    enum status s = ST_OK;
    int ended = 0;
    if (!t)
        return ST_OK;
    if (t->pipe >= 0)
        close(t->pipe);
    if (t->writer > 0 && waitpid(t->writer, &ended, 0) == t->writer && ended != 0)
        s = diag_set(why, ST_IO, "%s: %s; the trace ends early", t->path,
                     WIFEXITED(ended) ? strerror(WEXITSTATUS(ended)) : "its writer was killed");
    free(t->path);
    free(t);
    return s;
}

void trace_thread(struct trace *t, const char *name)
{
    if (t)
        put(t, false, "\"ph\":\"M\",\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}", name);
}

void trace_did(struct trace *t, const char *what, const char *about, int64_t start_us, int64_t end_us)
{
    if (!t)
        return;
    char *image = quoted(about);
    put(t, false, "\"ph\":\"X\",\"cat\":\"stage\",\"name\":\"%s\",\"ts\":%lld,\"dur\":%lld,\"args\":{\"image\":%s}",
        what, (long long)start_us, (long long)(end_us - start_us), image ? image : "null");
    free(image);
}

void trace_lasted(struct trace *t, const char *what, const char *about, uint64_t id, int64_t start_us, int64_t end_us)
{
    if (!t)
        return;
    char *image = quoted(about);
    put(t, false, "\"ph\":\"b\",\"cat\":\"task\",\"name\":\"%s\",\"id\":\"0x%llx\",\"ts\":%lld,\"args\":{\"image\":%s}",
        what, (unsigned long long)id, (long long)start_us, image ? image : "null");
    put(t, false, "\"ph\":\"e\",\"cat\":\"task\",\"name\":\"%s\",\"id\":\"0x%llx\",\"ts\":%lld", what,
        (unsigned long long)id, (long long)end_us);
    free(image);
}

void trace_level(struct trace *t, const char *what, int64_t value)
{
    if (t)
        put(t, false, "\"ph\":\"C\",\"name\":\"%s\",\"ts\":%lld,\"args\":{\"value\":%lld}", what, (long long)clock_us(),
            (long long)value);
}
