/* Linked into test builds by --wrap, in front of link_send, store_send, store_pump and store_take. Each message to
 * ZeroMQ and each script call to Redis passes a point before it goes out and one behind; a call a third one, when it is
 * written but not answered. Which were passed is counted for the driver; at the one that the environment names the
 * process dies, stops, or loses what passes, once. Without the variables they do nothing. One thread a process. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "protocol/link.h"
#include "protocol/message.h"
#include "protocol/store.h"
#include "tests/chaos/gauges.h"

enum { REMEMBERED = 1 << 14, LOST_MOST = 64 };

static struct {
    pid_t pid; /* a forked child reads its own environment */
    struct gauges *gauges;
    int role, index;
    bool armed;
    int site, name, phase, action;
    struct {
        uint64_t tag;
        int script;
    } calls[REMEMBERED]; /* by tag */
    bool queued[SCRIPT_COUNT_];
    uint64_t lost[LOST_MOST]; /* tags of calls that were not made */
    int n_lost;
} f;

static bool watched(void)
{
    if (f.pid != getpid()) {
        const char *role = getenv(CHAOS_ROLE), *index = getenv(CHAOS_INDEX), *fail = getenv(CHAOS_FAIL);
        f.pid = getpid();
        f.gauges = role && index ? gauges_map(getenv(CHAOS_GAUGES)) : NULL;
        f.role = role ? (int)strtol(role, NULL, 10) : 0;
        f.index = index ? (int)strtol(index, NULL, 10) : 0;
        f.armed = fail && sscanf(fail, "%d %d %d %d", &f.site, &f.name, &f.phase, &f.action) == 4;
    }
    return f.gauges;
}

/* True: what passes here is lost. */
static bool pass(enum fail_site site, int name, enum fail_phase phase)
{
    enum { OUT_US = 3000 }; /* for ZeroMQ's thread and Redis to take what was sent */
    if (phase == FAIL_BEFORE)
        atomic_fetch_add(&f.gauges->seen[f.role][f.index][site][name], 1);
    if (!f.armed || (int)site != f.site || name != f.name || (int)phase != f.phase)
        return false;
    f.armed = false;
    if (phase != FAIL_BEFORE)
        usleep(OUT_US);
    atomic_fetch_add(&f.gauges->fired, 1);
    if (f.action == FAIL_LOSE)
        return true;
    raise(f.action == FAIL_KILL ? SIGKILL : SIGSTOP);
    return false;
}

enum status __real_link_send(struct link *l, const struct link_peer *peer, uint8_t *bytes, size_t len);
enum status __wrap_link_send(struct link *l, const struct link_peer *peer, uint8_t *bytes, size_t len);
enum status __wrap_link_send(struct link *l, const struct link_peer *peer, uint8_t *bytes, size_t len)
{
    struct message m;
    if (!watched() || message_decode(bytes, len, &m, NULL) != ST_OK)
        return __real_link_send(l, peer, bytes, len);
    int kind = (int)m.kind;
    if (pass(FAIL_SEND, kind, FAIL_BEFORE)) {
        free(bytes);
        return ST_OK;
    }
    enum status s = __real_link_send(l, peer, bytes, len);
    pass(FAIL_SEND, kind, FAIL_AFTER);
    return s;
}

enum status __real_store_send(struct store *s, enum script script, const struct store_args *args, uint64_t tag);
enum status __wrap_store_send(struct store *s, enum script script, const struct store_args *args, uint64_t tag);
enum status __wrap_store_send(struct store *s, enum script script, const struct store_args *args, uint64_t tag)
{
    if (!watched())
        return __real_store_send(s, script, args, tag);
    if (pass(FAIL_CALL, script, FAIL_BEFORE) && f.n_lost < LOST_MOST) {
        f.lost[f.n_lost++] = tag;
        return ST_OK;
    }
    enum status st = __real_store_send(s, script, args, tag);
    if (st == ST_OK) {
        f.calls[tag % REMEMBERED].tag = tag;
        f.calls[tag % REMEMBERED].script = script;
        f.queued[script] = true;
    }
    return st;
}

int __real_store_pump(struct store *s, int64_t now_ms);
int __wrap_store_pump(struct store *s, int64_t now_ms);
int __wrap_store_pump(struct store *s, int64_t now_ms)
{
    int due = __real_store_pump(s, now_ms);
    if (!watched() || store_wants_write(s))
        return due;
    for (int i = 0; i < SCRIPT_COUNT_; i++) {
        if (f.queued[i])
            pass(FAIL_CALL, i, FAIL_SENT);
        f.queued[i] = false;
    }
    return due;
}

bool __real_store_take(struct store *s, struct store_answer *out);
bool __wrap_store_take(struct store *s, struct store_answer *out);
bool __wrap_store_take(struct store *s, struct store_answer *out)
{
    if (watched() && f.n_lost) {
        *out = (struct store_answer){.tag = f.lost[--f.n_lost], .reply.kind = REPLY_LOST};
        return true;
    }
    if (!__real_store_take(s, out))
        return false;
    uint64_t tag = out->tag;
    if (!f.gauges || out->reply.kind == REPLY_LOST || f.calls[tag % REMEMBERED].tag != tag)
        return true;
    if (pass(FAIL_CALL, f.calls[tag % REMEMBERED].script, FAIL_AFTER)) {
        store_answer_free(out);
        *out = (struct store_answer){.tag = tag, .reply.kind = REPLY_LOST};
    }
    return true;
}
