/* Waiting for links and file descriptors together. */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "protocol/link_impl.h"

/* True: something is ready. */
static bool look_at_all(struct link_poll *const *items, const struct pollfd *fds, int n)
{
    bool any = false;
    for (int i = 0; i < n; i++) {
        struct link_poll *p = items[i];
        if (p->link) {
            link_look(p, fds[i].revents != 0);
        } else {
            p->can_read = (fds[i].revents & ~POLLOUT) != 0;
            p->can_write = (fds[i].revents & POLLOUT) != 0;
        }
        any = any || p->can_read || p->can_write;
    }
    return any;
}

/* zmq_poll would ask each socket twice a wait, and a question is two system calls. */
enum status link_wait(struct link_poll *items, int n, int timeout_ms)
{
    enum { MOST = 72 };
    struct pollfd fds[MOST];
    struct link_poll *of[MOST];
    nfds_t used = 0;
    int64_t until = clock_ms() + timeout_ms;
    for (int i = 0; i < n && used < MOST; i++) {
        struct link_poll *p = &items[i];
        p->can_read = p->can_write = false;
        if (!p->link && p->fd < 0)
            continue;
        bool reads = p->link || p->want_read, writes = !p->link && p->want_write;
        fds[used] = (struct pollfd){.fd = p->link ? link_fd(p->link) : p->fd,
                                    .events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0))};
        of[used++] = p;
    }
    for (bool ready = look_at_all(of, fds, (int)used);;) {
        int64_t left = timeout_ms < 0 ? -1 : until - clock_ms();
        if (ready || (timeout_ms >= 0 && left < 0))
            left = 0;
        if (poll(fds, used, (int)left) < 0)
            return errno == EINTR ? ST_OK : ST_IO;
        ready = look_at_all(of, fds, (int)used);
        if (ready || (timeout_ms >= 0 && clock_ms() >= until))
            return ST_OK;
    }
}
