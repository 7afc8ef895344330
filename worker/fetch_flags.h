/* The settings of what is fetched over a network, shared by ferret-worker and by the commands of `ferret` that fetch
 * themselves. */
#ifndef WORKER_FETCH_FLAGS_H
#define WORKER_FETCH_FLAGS_H

#include "base/settings.h"
#include "media/fetch.h"

enum { FETCH_FLAGS_PORTS = 32, FETCH_FLAGS_PATH_BYTES = 4096 };

struct fetch_flags {
    bool allow_private_hosts, ignore_noai;
    struct setting_list allow_ports;
    double connect_timeout_s, first_byte_timeout_s, fetch_timeout_s, host_delay_s;
    int64_t fetch_retries, transfers, host_transfers;
    const char *ca_file, *user_agent;
    const char *s3_endpoint, *s3_region, *s3_profile;
    int s3_addressing; /* enum s3_addressing */
    bool s3_anonymous;
    const char *cache;
    int64_t cache_bytes;
};
/* `at`: offset of a struct fetch_flags in the program's struct. */
struct setting_group fetch_flags_group(size_t at);

/* What the flags came to. `options` points into this struct and into the flags, so both stay where they are while the
 * fetcher lives. */
struct fetch_choice {
    struct fetch_options options;
    uint16_t ports[FETCH_FLAGS_PORTS];
    char credentials_file[FETCH_FLAGS_PATH_BYTES], config_file[FETCH_FLAGS_PATH_BYTES];
};
/* roots: borrowed likewise. What flags leave open about S3 comes from the variables and files of AWS' tools. ST_INVALID
 * names the flag. */
MUST_CHECK enum status fetch_flags_resolve(const struct fetch_flags *f, const struct media_roots *roots,
                                           struct fetch_choice *out, struct diag *why);

#endif
