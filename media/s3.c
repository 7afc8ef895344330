#include "media/s3.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/s3_account.h"
#include "media/s3_page.h"

enum {
    BUCKET_BYTES = 64,
    URL_BYTES = 16384, /* a key of 1,024 bytes and a token, each byte as %XX */
    CODE_BYTES = 64,
    LIST_BYTES = 8 << 20, /* of a page of 1,000 names */
    SIGNING_BYTES = S3_REGION_BYTES + 16,
    PAIR_BYTES = 2 * S3_KEY_BYTES + 2,
};
/* SHA-256 of an empty body, which all these requests have. */
#define EMPTY_BODY "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* Where a bucket turned out to be. */
struct place {
    struct place *next;
    char bucket[BUCKET_BYTES], region[S3_REGION_BYTES];
};

struct s3 {
    struct http *http;
    struct s3_account *account;
    pthread_mutex_t lock; /* of places, and while the account is opened */
    struct place *places;
};

/* One request: what it asks for, and what signing it needs. */
struct asking {
    char bucket[BUCKET_BYTES];
    const char *key;   /* "" of the bucket itself */
    const char *query; /* coded and sorted, or NULL */
    char region[S3_REGION_BYTES];
    struct s3_keys keys;
    char url[URL_BYTES], signing[SIGNING_BYTES], pair[PAIR_BYTES], token[S3_TOKEN_BYTES + 32];
    char condition[HTTP_CONDITION_BYTES];
};

enum status s3_open(struct http *http, struct s3 **out)
{
    struct s3 *s = calloc(1, sizeof *s);
    if (!s)
        return ST_NOMEM;
    s->http = http;
    pthread_mutex_init(&s->lock, NULL);
    *out = s;
    return ST_OK;
}

/* A mistake in files that only S3 needs is no matter to those who never ask it. */
static enum status need_account(struct s3 *s, enum fetch_error *kind, struct diag *why)
{
    struct diag cause = {""};
    pthread_mutex_lock(&s->lock);
    enum status status = s->account ? ST_OK : s3_account_open(&s->http->options->s3, &s->account, &cause);
    pthread_mutex_unlock(&s->lock);
    if (status == ST_OK)
        return ST_OK;
    return fetch_refuse(kind, status == ST_NOMEM ? FETCH_NOMEM : FETCH_DENIED, why, "%s", cause.text);
}

void s3_close(struct s3 *s)
{
    if (!s)
        return;
    for (struct place *p = s->places, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    pthread_mutex_destroy(&s->lock);
    s3_account_close(s->account);
    free(s);
}

/* ---- addresses -----------------------------------------------------------------------------------------------------
 */

/* What AWS leaves as it is; every other byte becomes %XX. Returns false where there is no room. */
static bool put_coded(char *out, size_t size, const char *text, bool keep_slashes)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t n = strlen(out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool as_is = strchr(plain, *c) || (keep_slashes && *c == '/');
        if (n + 4 > size)
            return false;
        n += (size_t)snprintf(out + n, size - n, as_is ? "%c" : "%%%02X", *c);
    }
    return true;
}

static void region_of(struct s3 *s, struct asking *a)
{
    snprintf(a->region, sizeof a->region, "%s", s3_account_region(s->account));
    pthread_mutex_lock(&s->lock);
    for (const struct place *p = s->places; p; p = p->next)
        if (strcmp(p->bucket, a->bucket) == 0)
            memcpy(a->region, p->region, sizeof a->region);
    pthread_mutex_unlock(&s->lock);
}

/* Whether the answer says that the bucket is in another region than was asked in; then later requests go there. */
static bool learn_region(struct s3 *s, const struct asking *a, const struct transfer_answer *answer)
{
    bool wrong = answer->http == 301 || answer->http == 307 || answer->http == 400 || answer->http == 403;
    if (!wrong || !answer->s3_region[0] || strcmp(answer->s3_region, a->region) == 0)
        return false;
    struct place *p = calloc(1, sizeof *p);
    if (!p)
        return false;
    memcpy(p->bucket, a->bucket, sizeof p->bucket);
    snprintf(p->region, sizeof p->region, "%s", answer->s3_region);
    pthread_mutex_lock(&s->lock);
    p->next = s->places;
    s->places = p;
    pthread_mutex_unlock(&s->lock);
    return true;
}

/* Buckets with dots in their names have no certificate as hosts. */
static bool bucket_is_host(const struct s3 *s, const struct asking *a)
{
    enum s3_addressing how = s->http->options->s3.addressing;
    if (how != S3_ADDRESSING_AUTO)
        return how == S3_ADDRESSING_HOST;
    return !s3_account_endpoint(s->account) && !strchr(a->bucket, '.');
}

static bool make_url(const struct s3 *s, struct asking *a)
{
    const char *endpoint = s3_account_endpoint(s->account);
    char base[S3_ENDPOINT_BYTES];
    if (endpoint)
        snprintf(base, sizeof base, "%s", endpoint);
    else
        snprintf(base, sizeof base, "https://s3.%s.amazonaws.com", a->region);
    const char *host = strstr(base, "://") + strlen("://");
    if (bucket_is_host(s, a))
        snprintf(a->url, sizeof a->url, "%.*s%s.%s/", (int)(host - base), base, a->bucket, host);
    else
        snprintf(a->url, sizeof a->url, "%s/%s/", base, a->bucket);
    if (!put_coded(a->url, sizeof a->url, a->key, true))
        return false;
    size_t n = strlen(a->url);
    return !a->query || snprintf(a->url + n, sizeof a->url - n, "?%s", a->query) < (int)(sizeof a->url - n);
}

/* Whether a part of the key is "." or "..", which libcurl takes out of a path that it signs. */
static bool has_dots(const char *key)
{
    for (const char *part = key; part; part = strchr(part, '/')) {
        part += *part == '/';
        size_t n = strcspn(part, "/");
        if ((n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return true;
    }
    return false;
}

static bool read_uri(const char *uri, struct asking *a)
{
    const char *bucket = uri + strlen("s3://"), *slash = strchr(bucket, '/');
    size_t n = slash ? (size_t)(slash - bucket) : strlen(bucket);
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    if (n == 0 || n >= BUCKET_BYTES || strspn(bucket, allowed) < n)
        return false;
    memcpy(a->bucket, bucket, n);
    a->bucket[n] = '\0';
    a->key = slash ? slash + 1 : "";
    return true;
}

/* ---- asking --------------------------------------------------------------------------------------------------------
 */

static void sign(struct asking *a, struct transfer_request *r)
{
    if (!a->keys.present)
        return;
    snprintf(a->signing, sizeof a->signing, "aws:amz:%s:s3", a->region);
    snprintf(a->pair, sizeof a->pair, "%s:%s", a->keys.access_key, a->keys.secret_key);
    r->sigv4 = a->signing;
    r->user_password = a->pair;
    r->headers[r->n_headers++] = EMPTY_BODY;
    if (a->keys.token[0]) {
        snprintf(a->token, sizeof a->token, "x-amz-security-token: %s", a->keys.token);
        r->headers[r->n_headers++] = a->token;
    }
}

/* Two servers may have a bucket of one name. */
static const char *endpoint_of(const struct s3 *s)
{
    const char *endpoint = s3_account_endpoint(s->account);
    return endpoint ? endpoint : "";
}

static enum status get(struct s3 *s, struct asking *a, const struct range *range, size_t max_bytes, const char *shown,
                       struct transfer_answer *out, enum fetch_error *kind, struct diag *why)
{
    struct http_address address;
    enum status status = need_account(s, kind, why);
    if (status != ST_OK)
        return status;
    s3_account_keys(s->account, &a->keys);
    region_of(s, a);
    if (!make_url(s, a))
        return fetch_refuse(kind, FETCH_BAD_URI, why, "%s: too long", shown);
    http_address_read(a->url, &address);
    snprintf(address.shown, sizeof address.shown, "%s", shown);
    struct transfer_request r = {.url = a->url,
                                 .host = address.host,
                                 .range = *range,
                                 .max_bytes = max_bytes,
                                 .trusted = s3_account_endpoint(s->account) != NULL,
                                 .ca_file = s->http->options->s3.ca_file};
    sign(a, &r);
    http_ask_condition(range, endpoint_of(s), a->condition, &r);
    return http_get(s->http, &r, &address, out, kind, why);
}

/* "NoSuchKey" of an answer that is no success; else "". */
static void read_code(const struct transfer_answer *a, char code[CODE_BYTES])
{
    const char *body = (const char *)a->body.data;
    const char *from = a->body.len ? memmem(body, a->body.len, "<Code>", 6) : NULL;
    size_t n = 0;
    code[0] = '\0';
    if (!from)
        return;
    for (from += 6; from + n < body + a->body.len && n + 1 < CODE_BYTES && from[n] >= 'A' && from[n] <= 'z'; n++)
        code[n] = from[n];
    code[n] = '\0';
}

static bool is_about_keys(const char *code)
{
    static const char *const codes[] = {
        "ExpiredToken",         "InvalidToken", "InvalidAccessKeyId",          "SignatureDoesNotMatch",
        "RequestTimeTooSkewed", "AccessDenied", "AuthorizationHeaderMalformed"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i], code) == 0)
            return true;
    return false;
}

static enum status judge(const struct asking *a, const struct transfer_answer *answer, const struct range *range,
                         const char *shown, enum fetch_error *kind, struct diag *why)
{
    char code[CODE_BYTES];
    bool success = (answer->http >= 200 && answer->http < 300) || answer->http == 416;
    read_code(answer, code);
    if (is_about_keys(code) || answer->http == 403)
        return fetch_refuse(kind, FETCH_DENIED, why, "%s: %s%s", shown, code[0] ? code : "HTTP status 403",
                            a->keys.present ? "" : " (no keys were found, so the request was not signed)");
    enum status s = http_judge(answer, range, shown, kind, why);
    if (success || !code[0])
        return s;
    return fetch_refuse(kind, s == ST_OK ? FETCH_HTTP_STATUS : *kind, why, "%s: %s", shown, code);
}

/* Once more where the bucket turns out to be elsewhere. */
static enum status ask(struct s3 *s, struct asking *a, const struct range *range, size_t max_bytes, const char *shown,
                       struct bytes *out, enum fetch_error *kind, struct diag *why)
{
    struct transfer_answer answer;
    enum status status = get(s, a, range, max_bytes, shown, &answer, kind, why);
    if (status == ST_OK && learn_region(s, a, &answer)) {
        transfer_answer_fini(&answer);
        status = get(s, a, range, max_bytes, shown, &answer, kind, why);
    }
    if (status != ST_OK)
        return status;
    bool same = http_is_same(&answer, range, endpoint_of(s));
    if (!same)
        status = judge(a, &answer, range, shown, kind, why);
    if (status == ST_OK && !same)
        *out = http_take_body(&answer);
    transfer_answer_fini(&answer);
    return status;
}

enum status fetch_s3(struct s3 *s, const char *uri, const struct range *range, struct bytes *out,
                     enum fetch_error *kind, struct diag *why)
{
    size_t max_bytes = s->http->options->max_bytes;
    char shown[URI_SHOWN_BYTES];
    uri_shown(uri, shown, sizeof shown);
    struct asking *a = calloc(1, sizeof *a);
    if (!a)
        return fetch_refuse(kind, FETCH_NOMEM, why, "%s: no memory", shown);
    enum status status;
    if (!read_uri(uri, a) || !*a->key)
        status = fetch_refuse(kind, FETCH_BAD_URI, why, "%s: want s3://BUCKET/KEY", shown);
    else if (has_dots(a->key))
        status = fetch_refuse(kind, FETCH_BAD_URI, why, "%s: a key with \".\" or \"..\" between slashes", shown);
    else if (!range->whole && range->length > max_bytes)
        status = fetch_refuse(kind, FETCH_TOO_LARGE, why, "%s: a member of %llu bytes", shown,
                              (unsigned long long)range->length);
    else
        status = ask(s, a, range, range->whole ? max_bytes : (size_t)range->length, shown, out, kind, why);
    explicit_bzero(a, sizeof *a);
    free(a);
    return status;
}

/* Sorted, as signing wants it. */
static bool make_list_query(char *query, size_t size, const char *token, const char *prefix)
{
    query[0] = '\0';
    if (token) {
        snprintf(query, size, "continuation-token=");
        if (!put_coded(query, size, token, false))
            return false;
    }
    size_t n = strlen(query);
    n += (size_t)snprintf(query + n, size - n, "%sencoding-type=url&list-type=2&prefix=", token ? "&" : "");
    return n < size && put_coded(query, size, prefix, false);
}

enum status s3_list(struct s3 *s, const char *uri, char **token, struct uri_list *out, enum fetch_error *kind,
                    struct diag *why)
{
    static const struct range everything = {.whole = true};
    char shown[URI_SHOWN_BYTES], *query = malloc(URL_BYTES);
    struct asking *a = calloc(1, sizeof *a);
    struct bytes page = {0};
    uri_shown(uri, shown, sizeof shown);
    enum status status = ST_OK;
    if (!a || !query)
        status = fetch_refuse(kind, FETCH_NOMEM, why, "%s: no memory", shown);
    else if (!read_uri(uri, a) || !make_list_query(query, URL_BYTES, *token, a->key))
        status = fetch_refuse(kind, FETCH_BAD_URI, why, "%s: want s3://BUCKET/PREFIX", shown);
    if (status == ST_OK) {
        a->key = "";
        a->query = query;
        status = ask(s, a, &everything, LIST_BYTES, shown, &page, kind, why);
    }
    if (status == ST_OK) {
        status = s3_page_read(&page, a->bucket, token, out, why);
        if (status != ST_OK)
            status = fetch_refuse(kind, status == ST_NOMEM ? FETCH_NOMEM : FETCH_HTTP_STATUS, why,
                                  "%s: the server's list is none of S3", shown);
    }
    bytes_fini(&page);
    free(query);
    if (a)
        explicit_bzero(a, sizeof *a);
    free(a);
    return status;
}
