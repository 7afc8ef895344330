#include "worker/fetch_flags.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define ROW(field, flag, kind, def, ...)                                                                               \
    {                                                                                                                  \
        .name = flag, .type = kind, .offset = offsetof(struct fetch_flags, field), .fallback = def, __VA_ARGS__        \
    }
#define TIMEOUT .min = 0.001, .max = 86400

struct setting_group fetch_flags_group(size_t at)
{
    static const struct setting rows[] = {
        ROW(allow_private_hosts, "allow-private-hosts", SETTING_BOOL, NULL,
            .help = "fetch from private, loopback and link-local addresses too"),
        ROW(allow_ports, "allow-port", SETTING_LIST, NULL, .value = "PORT",
            .help = "a port that is fetched from besides 80 and 443"),
        ROW(transfers, "transfers", SETTING_INT, "32", .min = 1, .max = 1024, .value = "N",
            .help = "images fetched at a time"),
        ROW(host_transfers, "host-transfers", SETTING_INT, "8", .min = 1, .max = 1024, .value = "N",
            .help = "of them from one host"),
        ROW(host_delay_s, "host-delay", SETTING_SECONDS, NULL, .max = 3600,
            .help = "least time between two requests to one host"),
        ROW(connect_timeout_s, "connect-timeout", SETTING_SECONDS, "5", TIMEOUT, .help = "for a connection"),
        ROW(first_byte_timeout_s, "first-byte-timeout", SETTING_SECONDS, "20", TIMEOUT,
            .help = "from asking to the first byte of an answer"),
        ROW(fetch_timeout_s, "fetch-timeout", SETTING_SECONDS, "60", TIMEOUT, .help = "for an image, each try"),
        ROW(fetch_retries, "fetch-retries", SETTING_INT, "2", .min = 0, .max = 20, .value = "N",
            .help = "tries more where a failure may pass, with growing pauses or as Retry-After asks"),
        ROW(ca_file, "ca-file", SETTING_STRING, NULL, .value = "FILE",
            .help = "certificates of authorities (PEM) in place of the system's"),
        ROW(user_agent, "user-agent", SETTING_STRING, NULL, .value = "TEXT",
            .help = "how servers are told who asks; a polite one names a way to reach you"),
        ROW(ignore_noai, "ignore-noai", SETTING_BOOL, NULL,
            .help = "fetch images too whose owner says X-Robots-Tag: noai"),
        ROW(s3_endpoint, "s3-endpoint", SETTING_STRING, NULL, .value = "URL",
            .help = "a server that speaks S3 in place of AWS; else AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL"),
        ROW(s3_region, "s3-region", SETTING_STRING, NULL, .value = "NAME",
            .help = "region; else AWS_REGION, AWS_DEFAULT_REGION, the profile's, us-east-1"),
        ROW(s3_profile, "s3-profile", SETTING_STRING, NULL, .value = "NAME",
            .help = "profile in ~/.aws; else AWS_PROFILE, default. AWS_ACCESS_KEY_ID comes before it"),
        ROW(s3_addressing, "s3-addressing", SETTING_CHOICE, "auto", .choices = "auto|path|host",
            .help = "where the bucket stands; auto: in the host's name on AWS, in the path elsewhere"),
        ROW(cache, "cache", SETTING_STRING, NULL, .value = "DIR",
            .help = "folder that keeps what comes over a network, for processes to share"),
        ROW(cache_bytes, "cache-bytes", SETTING_BYTES, "10GiB", .min = 1 << 20, .max = 1e15,
            .help = "budget of that folder"),
        ROW(s3_anonymous, "s3-anonymous", SETTING_BOOL, NULL, .help = "do not sign: for public buckets"),
    };
    return (struct setting_group){.title = "fetching", .rows = rows, .n_rows = sizeof rows / sizeof *rows, .at = at};
}

static enum status read_ports(const struct fetch_flags *f, struct fetch_choice *c, struct diag *why)
{
    if (f->allow_ports.n > FETCH_FLAGS_PORTS)
        return diag_set(why, ST_INVALID, "%d times --allow-port, at most %d", f->allow_ports.n, FETCH_FLAGS_PORTS);
    for (int i = 0; i < f->allow_ports.n; i++) {
        char *end;
        long port = strtol(f->allow_ports.items[i], &end, 10);
        if (*end || port < 1 || port > UINT16_MAX)
            return diag_set(why, ST_INVALID, "--allow-port %s: expected a number from 1 to 65535",
                            f->allow_ports.items[i]);
        c->ports[i] = (uint16_t)port;
    }
    return ST_OK;
}

static const char *first_of(const char *flag, const char *variable, const char *other)
{
    const char *value = flag ? flag : settings_variable_of_others(variable);
    return value || !other ? value : settings_variable_of_others(other);
}

/* The file that a variable names, else the one in the home folder; NULL where there is no home. */
static const char *aws_file(char *room, const char *variable, const char *name)
{
    const char *named = settings_variable_of_others(variable), *home = settings_variable_of_others("HOME");
    if (!named && !home)
        return NULL;
    int n = named ? snprintf(room, FETCH_FLAGS_PATH_BYTES, "%s", named)
                  : snprintf(room, FETCH_FLAGS_PATH_BYTES, "%s/.aws/%s", home, name);
    return n < FETCH_FLAGS_PATH_BYTES ? room : NULL;
}

/* Keys are taken from variables only where nobody asked for a profile by flag. */
static struct s3_options read_s3(const struct fetch_flags *f, struct fetch_choice *c)
{
    bool keys = !f->s3_profile && !f->s3_anonymous;
    return (struct s3_options){
        .endpoint = first_of(f->s3_endpoint, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        .region = first_of(f->s3_region, "AWS_REGION", "AWS_DEFAULT_REGION"),
        .profile = first_of(f->s3_profile, "AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
        .access_key = keys ? settings_variable_of_others("AWS_ACCESS_KEY_ID") : NULL,
        .secret_key = keys ? settings_variable_of_others("AWS_SECRET_ACCESS_KEY") : NULL,
        .session_token = keys ? settings_variable_of_others("AWS_SESSION_TOKEN") : NULL,
        .credentials_file = aws_file(c->credentials_file, "AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        .config_file = aws_file(c->config_file, "AWS_CONFIG_FILE", "config"),
        .ca_file = settings_variable_of_others("AWS_CA_BUNDLE"),
        .addressing = (enum s3_addressing)f->s3_addressing,
        .anonymous = f->s3_anonymous,
    };
}

enum status fetch_flags_resolve(const struct fetch_flags *f, const struct media_roots *roots, struct fetch_choice *out,
                                struct diag *why)
{
    out->options = (struct fetch_options){
        .roots = roots,
        .connect_timeout_ms = (int)(f->connect_timeout_s * 1000),
        .first_byte_timeout_ms = (int)(f->first_byte_timeout_s * 1000),
        .timeout_ms = (int)(f->fetch_timeout_s * 1000),
        .retries = (int)f->fetch_retries,
        .max_transfers = (int)f->transfers,
        .host_transfers = (int)f->host_transfers,
        .host_delay_ms = (int)(f->host_delay_s * 1000),
        .ports = out->ports,
        .n_ports = f->allow_ports.n,
        .allow_private_hosts = f->allow_private_hosts,
        .ignore_no_ai = f->ignore_noai,
        .ca_file = f->ca_file,
        .user_agent = f->user_agent,
        .s3 = read_s3(f, out),
        .cache = f->cache,
        .cache_bytes = f->cache_bytes,
    };
    enum status s = f->s3_endpoint ? s3_endpoint_check(f->s3_endpoint, why) : ST_OK;
    return s == ST_OK ? read_ports(f, out, why) : diag_wrap(why, s, "--s3-endpoint");
}
