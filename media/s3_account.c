#include "media/s3_account.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "media/http_address.h"

enum { LINE_BYTES = S3_TOKEN_BYTES + 256 };

struct s3_account {
    const struct s3_options *options;
    char region[S3_REGION_BYTES], endpoint[S3_ENDPOINT_BYTES];
    pthread_mutex_t lock;     /* of what follows */
    struct s3_keys keys;      /* of the file, where none were told */
    struct timespec modified; /* of the file that they came from */
};

/* What one profile says in one file. */
struct profile {
    struct s3_keys keys;
    char region[S3_REGION_BYTES], endpoint[S3_ENDPOINT_BYTES];
    bool found;
};

/* ---- files ---------------------------------------------------------------------------------------------------------
 */

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t n = strlen(text);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        text[--n] = '\0';
    return text;
}

static bool is_section(char *line, const char *profile)
{
    char *name = line + 1, *end = strchr(name, ']');
    static const char word[] = "profile "; /* in the one of the two files */
    if (end)
        *end = '\0';
    name = trim(name);
    if (strncmp(name, word, sizeof word - 1) == 0)
        name = trim(name + sizeof word - 1);
    return strcmp(name, profile) == 0;
}

static bool set_field(struct profile *p, const char *name, const char *value)
{
    const struct {
        const char *name;
        char *room;
        size_t size;
    } fields[] = {
        {"aws_access_key_id", p->keys.access_key, sizeof p->keys.access_key},
        {"aws_secret_access_key", p->keys.secret_key, sizeof p->keys.secret_key},
        {"aws_session_token", p->keys.token, sizeof p->keys.token},
        {"region", p->region, sizeof p->region},
        {"endpoint_url", p->endpoint, sizeof p->endpoint},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(fields[i].name, name) == 0)
            return snprintf(fields[i].room, fields[i].size, "%s", value) < (int)fields[i].size;
    return true;
}

static enum status read_lines(FILE *f, const char *path, const char *profile, struct profile *out, struct diag *why)
{
    char line[LINE_BYTES];
    bool inside = false;
    for (int number = 1; fgets(line, sizeof line, f); number++) {
        bool nested = line[0] == ' ' || line[0] == '\t'; /* settings of a service, which are not read */
        char *text = trim(line), *equals = strchr(text, '=');
        if (*text == '[') {
            inside = is_section(text, profile);
            out->found |= inside;
        } else if (inside && !nested && *text && *text != '#' && *text != ';') {
            if (!equals)
                return diag_set(why, ST_FORMAT, "%s:%d: expected NAME = VALUE", path, number);
            *equals = '\0';
            if (!set_field(out, trim(text), trim(equals + 1)))
                return diag_set(why, ST_FORMAT, "%s:%d: too long", path, number);
        }
    }
    return ferror(f) ? diag_set(why, ST_IO, "%s: can't be read", path) : ST_OK;
}

/* A file that is not there says nothing. */
static enum status read_profile(const char *path, const char *profile, struct profile *out, struct diag *why)
{
    *out = (struct profile){0};
    FILE *f = path ? fopen(path, "re") : NULL;
    if (!f)
        return path && errno != ENOENT && errno != ENOTDIR ? diag_set(why, ST_IO, "%s: %s", path, strerror(errno))
                                                           : ST_OK;
    enum status s = read_lines(f, path, profile, out, why);
    fclose(f);
    return s;
}

static bool whole(struct s3_keys *k)
{
    k->present = k->access_key[0] && k->secret_key[0];
    return k->present;
}

/* The keys' own file comes before the one of the other settings. */
static enum status read_keys(struct s3_account *a, struct diag *why)
{
    const struct s3_options *o = a->options;
    const char *const paths[] = {o->credentials_file, o->config_file};
    for (int i = 0; i < 2; i++) {
        struct profile p;
        struct stat st = {0};
        if (paths[i] && stat(paths[i], &st) != 0)
            st = (struct stat){0};
        enum status s = read_profile(paths[i], o->profile, &p, why);
        if (s != ST_OK)
            return s;
        if (!whole(&p.keys))
            continue;
        a->keys = p.keys;
        a->modified = st.st_mtim;
        return ST_OK;
    }
    return ST_OK;
}

/* ---- life ----------------------------------------------------------------------------------------------------------
 */

static enum status take(char *room, size_t size, const char *text, const char *what, struct diag *why)
{
    if (text && snprintf(room, size, "%s", text) >= (int)size)
        return diag_set(why, ST_INVALID, "%s: longer than %zu bytes", what, size - 1);
    return ST_OK;
}

enum status s3_endpoint_check(const char *endpoint, struct diag *why)
{
    struct http_address address;
    http_address_read(endpoint, &address);
    if (!address.sound)
        return diag_set(why, ST_INVALID, "S3: the endpoint %s: expected http:// or https:// and a host", address.shown);
    if (strcmp(endpoint, address.shown) != 0)
        return diag_set(why, ST_INVALID, "S3: the endpoint %s: expected no user, password or query in it",
                        address.shown);
    return ST_OK;
}

static enum status settle(struct s3_account *a, struct diag *why)
{
    const struct s3_options *o = a->options;
    struct profile p;
    if (!!o->access_key != !!o->secret_key)
        return diag_set(why, ST_INVALID, "S3: expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither");
    enum status s = read_profile(o->config_file, o->profile, &p, why);
    if (s == ST_OK)
        s = take(a->region, sizeof a->region, o->region ? o->region : p.region, "S3: the region", why);
    if (s == ST_OK)
        s = take(a->endpoint, sizeof a->endpoint, o->endpoint ? o->endpoint : p.endpoint, "S3: the endpoint", why);
    if (s != ST_OK)
        return s;
    if (!a->region[0])
        snprintf(a->region, sizeof a->region, "us-east-1");
    for (size_t n = strlen(a->endpoint); n > 0 && a->endpoint[n - 1] == '/'; n--)
        a->endpoint[n - 1] = '\0';
    s = a->endpoint[0] ? s3_endpoint_check(a->endpoint, why) : ST_OK;
    return s != ST_OK || o->access_key || o->anonymous ? s : read_keys(a, why);
}

enum status s3_account_open(const struct s3_options *o, struct s3_account **out, struct diag *why)
{
    struct s3_account *a = calloc(1, sizeof *a);
    if (!a)
        return ST_NOMEM;
    a->options = o;
    pthread_mutex_init(&a->lock, NULL);
    enum status s = settle(a, why);
    if (s != ST_OK) {
        s3_account_close(a);
        return s;
    }
    *out = a;
    return ST_OK;
}

void s3_account_close(struct s3_account *a)
{
    if (!a)
        return;
    pthread_mutex_destroy(&a->lock);
    explicit_bzero(a, sizeof *a);
    free(a);
}

/* A file that is being written for a moment leaves the keys as they were. */
static void refresh(struct s3_account *a)
{
    struct stat st;
    const char *path = a->options->credentials_file;
    if (!path || stat(path, &st) != 0 ||
        (st.st_mtim.tv_sec == a->modified.tv_sec && st.st_mtim.tv_nsec == a->modified.tv_nsec))
        return;
    if (read_keys(a, NULL) == ST_OK)
        a->modified = st.st_mtim;
}

void s3_account_keys(struct s3_account *a, struct s3_keys *out)
{
    const struct s3_options *o = a->options;
    *out = (struct s3_keys){0};
    if (o->anonymous)
        return;
    if (o->access_key) {
        snprintf(out->access_key, sizeof out->access_key, "%s", o->access_key);
        snprintf(out->secret_key, sizeof out->secret_key, "%s", o->secret_key);
        snprintf(out->token, sizeof out->token, "%s", o->session_token ? o->session_token : "");
        out->present = true;
        return;
    }
    pthread_mutex_lock(&a->lock);
    refresh(a);
    *out = a->keys;
    pthread_mutex_unlock(&a->lock);
}

const char *s3_account_region(const struct s3_account *a)
{
    return a->region;
}

const char *s3_account_endpoint(const struct s3_account *a)
{
    return a->endpoint[0] ? a->endpoint : NULL;
}
