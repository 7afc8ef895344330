/* A page of S3's list of a bucket (ListObjectsV2, names percent-coded). Inside of media; the only file that knows
 * expat. */
#ifndef MEDIA_S3_PAGE_H
#define MEDIA_S3_PAGE_H

#include "media/fetch.h"

/* *token is freed and becomes where the next page begins, or NULL. Names that end in a slash, which stand for folders,
 * are left out. ST_FORMAT: not such a list. */
MUST_CHECK enum status s3_page_read(const struct bytes *page, const char *bucket, char **token, struct uri_list *out,
                                    struct diag *why);

#endif
