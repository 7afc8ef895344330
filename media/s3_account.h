/* Who asks S3: keys from what the caller was told, else from the files that other tools of S3 use. Inside of media.
 * Thread-safe: files that change while a run goes on (keys that live for an hour) are read again. */
#ifndef MEDIA_S3_ACCOUNT_H
#define MEDIA_S3_ACCOUNT_H

#include "media/fetch.h"

enum { S3_KEY_BYTES = 256, S3_TOKEN_BYTES = 4096, S3_REGION_BYTES = 40, S3_ENDPOINT_BYTES = 256 };

struct s3_keys {
    bool present; /* else requests go out unsigned, as to public buckets */
    char access_key[S3_KEY_BYTES], secret_key[S3_KEY_BYTES];
    char token[S3_TOKEN_BYTES]; /* of a session, or "" */
};

struct s3_account;
/* o: borrowed. Reads the files. ST_FORMAT names file and line; ST_INVALID: half of a pair of keys, or an endpoint that
 * is no address. */
MUST_CHECK enum status s3_account_open(const struct s3_options *o, struct s3_account **out, struct diag *why);
void s3_account_close(struct s3_account *a); /* NULL is fine */
/* The keys of now. */
void s3_account_keys(struct s3_account *a, struct s3_keys *out);
const char *s3_account_region(const struct s3_account *a);   /* borrowed; never empty */
const char *s3_account_endpoint(const struct s3_account *a); /* borrowed, without a slash at its end; NULL: AWS */

#endif
