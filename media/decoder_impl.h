/* Between the pool, its nursery and the children. All are forks of one program, so plain structs travel, each as one
 * message of a SOCK_SEQPACKET socket, descriptors beside them. */
#ifndef MEDIA_DECODER_IMPL_H
#define MEDIA_DECODER_IMPL_H

#include "media/decoder.h"

/* Pool -> child, with a sealed memory file of the bytes. */
struct decoder_request {
    size_t len;
    struct image_policy policy;
};
/* Child -> pool; with a sealed memory file of the pixels where status is ST_OK. image.rgb and .mapped mean nothing. */
struct decoder_reply {
    enum status status;
    enum image_error kind;
    struct image image;
    struct diag why;
};
/* Pool -> nursery: one byte. Nursery -> pool: this, with the child's socket and its pidfd where status is ST_OK. */
struct nursery_reply {
    enum status status;
    struct diag why;
};

enum { DECODER_MAX_FDS = 2 };

/* Sends one message with n_fds descriptors; receives one, *n_fds becomes their number. ST_CLOSED: the peer is gone. */
MUST_CHECK enum status decoder_send(int socket, const void *message, size_t len, const int *fds, int n_fds);
MUST_CHECK enum status decoder_receive(int socket, void *message, size_t len, int *fds, int *n_fds);

/* A memory file of these bytes that nobody can change any more; -1 on failure. */
int decoder_seal(const void *bytes, size_t len, const char *name);
/* Maps a sealed memory file of exactly len bytes; NULL where it is not that. */
void *decoder_map(int fd, size_t len);

/* Runs the nursery on its end of the control socket until that closes. Never returns. */
_Noreturn void decoder_nursery(int control, const struct decoder_options *o);

#endif
