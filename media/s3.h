/* s3://bucket/key: signed requests (SigV4) to AWS or to any server that speaks like it. The key stands as it is,
 * without percent signs. Inside of media. */
#ifndef MEDIA_S3_H
#define MEDIA_S3_H

#include "media/http.h"

struct s3;
/* http: borrowed. Files are read when they are needed first. */
MUST_CHECK enum status s3_open(struct http *http, struct s3 **out);
void s3_close(struct s3 *s); /* NULL is fine */
MUST_CHECK enum status fetch_s3(struct s3 *s, const char *uri, const struct range *range, struct bytes *out,
                                enum fetch_error *kind, struct diag *why);
/* One page of the names that begin with a prefix: fetch_list. */
MUST_CHECK enum status s3_list(struct s3 *s, const char *uri, char **token, struct uri_list *out,
                               enum fetch_error *kind, struct diag *why);

#endif
