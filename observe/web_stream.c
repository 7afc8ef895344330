/* Server-sent events. A stream that has read everything is suspended until the next event; one that is slow skips. */
#include <stdlib.h>
#include <string.h>

#include "observe/web_impl.h"

enum { MOST_STREAMS = 48, BLOCK_BYTES = 16384 };

static void drop(struct event *e)
{
    if (e && --e->refs == 0)
        free(e);
}

/* Called by the server's thread while the connection can be written. */
static ssize_t read_stream(void *ctx, uint64_t pos, char *out, size_t most)
{
    (void)pos;
    struct stream *s = ctx;
    struct web *h = s->http;
    ssize_t n = 0;
    pthread_mutex_lock(&h->lock);
    if (h->closing) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        if (!s->event && h->last && s->number != h->number) {
            s->event = h->last;
            s->event->refs++;
            s->number = h->number;
            s->sent = 0;
        }
        if (!s->event) {
            s->suspended = true;
            MHD_suspend_connection(s->connection);
        } else {
            size_t left = s->event->len - s->sent, now = left < most ? left : most;
            memcpy(out, s->event->text + s->sent, now);
            s->sent += now;
            n = (ssize_t)now;
        }
    }
    if (s->event && s->sent == s->event->len) {
        drop(s->event);
        s->event = NULL;
    }
    pthread_mutex_unlock(&h->lock);
    return n;
}

static void free_stream(void *ctx)
{
    struct stream *s = ctx;
    struct web *h = s->http;
    pthread_mutex_lock(&h->lock);
    struct stream **at = &h->streams;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    h->n_streams--;
    drop(s->event);
    pthread_mutex_unlock(&h->lock);
    free(s);
}

struct MHD_Response *stream_response(struct web *h, struct MHD_Connection *connection)
{
    struct stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->http = h;
    s->connection = connection;
    pthread_mutex_lock(&h->lock);
    bool room = h->n_streams < MOST_STREAMS && !h->closing;
    if (room) {
        s->next = h->streams;
        h->streams = s;
        h->n_streams++;
    }
    pthread_mutex_unlock(&h->lock);
    if (!room) {
        free(s);
        return NULL;
    }
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, s, free_stream);
    if (!r)
        free_stream(s);
    return r;
}

static void wake_all(struct web *h)
{
    for (struct stream *s = h->streams; s; s = s->next)
        if (s->suspended) {
            s->suspended = false;
            MHD_resume_connection(s->connection);
        }
}

void web_publish(struct web *h, const char *data, size_t len)
{
    static const char before[] = "data: ", after[] = "\n\n";
    size_t whole = sizeof before - 1 + len + sizeof after - 1;
    struct event *e = malloc(sizeof *e + whole);
    if (!e)
        return; /* the next one comes soon */
    *e = (struct event){.refs = 1, .len = whole};
    memcpy(e->text, before, sizeof before - 1);
    memcpy(e->text + sizeof before - 1, data, len);
    memcpy(e->text + whole - (sizeof after - 1), after, sizeof after - 1);
    pthread_mutex_lock(&h->lock);
    drop(h->last);
    h->last = e;
    h->number++;
    wake_all(h);
    pthread_mutex_unlock(&h->lock);
}

int web_streams(struct web *h)
{
    pthread_mutex_lock(&h->lock);
    int n = h->n_streams;
    pthread_mutex_unlock(&h->lock);
    return n;
}

void streams_close(struct web *h)
{
    pthread_mutex_lock(&h->lock);
    h->closing = true;
    wake_all(h);
    drop(h->last);
    h->last = NULL;
    pthread_mutex_unlock(&h->lock);
}
