/* Decoding in child processes: what a hostile file can reach is a process without network, without write access, with
 * bounded memory and time. A crash or a hang costs one image.
 *
 * A small "nursery" process is forked by decoder_pool_open and forks the children from then on, so that no process
 * with threads ever forks: open the pool before the first thread, GPU or OpenMP use. Bytes go in and pixels come back
 * in sealed memory files; image.rgb of the caller maps one, read-only. decoder_run may be called from any number of
 * threads; those beyond the number of children wait. Children start on first use and are replaced when they die. */
#ifndef MEDIA_DECODER_H
#define MEDIA_DECODER_H

#include <stdint.h>

#include "base/status.h"
#include "media/image.h"

struct decoder_options {
    int children;         /* >= 1; 0 = 2 */
    int timeout_ms;       /* wall clock an image; 0 = 30,000 */
    int cpu_seconds;      /* CPU time an image; 0 = 30 */
    int64_t memory_bytes; /* address space on top of the empty process; 0 = 4 GiB */
};

struct decoder_pool;
MUST_CHECK enum status decoder_pool_open(const struct decoder_options *o, struct decoder_pool **out, struct diag *why);
/* Waits for calls in progress; NULL is fine. */
void decoder_pool_close(struct decoder_pool *p);

/* image_decode in a child. *kind may be NULL. IMAGE_CRASHED is ST_FORMAT, IMAGE_TIMEOUT is ST_TIMEOUT; ST_IO with
 * IMAGE_DECODE_FAILED: no child could be started. */
MUST_CHECK enum status decoder_run(struct decoder_pool *p, const uint8_t *bytes, size_t len,
                                   const struct image_policy *policy, struct image *out, enum image_error *kind,
                                   struct diag *why);

/* What holds the children, for `ferret inspect` and the log: "seccomp, landlock, rlimits" or less where the kernel
 * lacks a part. Static storage. */
const char *decoder_confinement(const struct decoder_pool *p);

#endif
