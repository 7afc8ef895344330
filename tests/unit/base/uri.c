/* Claims of base/uri.h. */
#include "base/uri.h"

#include <criterion/criterion.h>
#include <string.h>

Test(uri, is_shown_without_what_may_be_a_secret)
{
    static const char *const rows[][2] = {
        {"http://example.org/a.jpg", "http://example.org/a.jpg"},
        {"https://u:p@example.org:443/a.jpg?t=s", "https://example.org:443/a.jpg"},
        {"HTTP://u@127.0.0.1:8490/a.jpg#f", "HTTP://127.0.0.1:8490/a.jpg"},
        {"http://u:p@[::1]:81/", "http://[::1]:81/"},
        {"http://[::1]/?u@h", "http://[::1]/"},
        {"http://example.org?t=s", "http://example.org"},
        {"http://example.org/@user/a.jpg", "http://example.org/@user/a.jpg"},
        {"http://u:p@ss@example.org/a.jpg", "http://example.org/a.jpg"},
        {"http://example.org/a b.jpg?t=s@x", "http://example.org/a b.jpg"},
        {"http://u:p?@ss@example.org/a.jpg?t=s", "http://..."},
        {"http://u:p/s@s@example.org/a.jpg?t=s", "http://...example.org/a.jpg"},
        {"http://u:p#s@example.org/a.jpg", "http://..."},
        {"http://u p/s@example.org/a.jpg", "http://...example.org/a.jpg"},
        {"http://example.org:no/a.jpg", "http://example.org:no/a.jpg"},
        {"https://u:p@example.org/x/1.tar#a?b.jpg@512+9", "https://example.org/x/1.tar#a?b.jpg@512+9"},
        {"https://u:p@example.org/1.tar?t=s#a.jpg", "https://example.org/1.tar"},
        {"https://u:p@example.org/1.jpg?x=.tar#a", "https://example.org/1.jpg"},
        {"s3://bucket/a?b#c.jpg", "s3://bucket/a?b#c.jpg"},
        {"s3://key:secret@bucket/a@b.jpg", "s3://bucket/a@b.jpg"},
        {"s3://key:sec/ret@bucket/a.jpg", "s3://...bucket/a.jpg"},
        {"file:///tmp/a?b.jpg", "file:///tmp/a?b.jpg"},
        {"file://u:p@host/tmp/a.jpg", "file://host/tmp/a.jpg"},
        {"ftp://u:p@host/a.jpg?t=s", "ftp://host/a.jpg"},
        {"photos:2024/me@home?.jpg", "photos:2024/me@home?.jpg"},
        {"/photos/http://u:p@host/", "/photos/http://u:p@host/"},
        {"://u:p@host", "://u:p@host"},
        {"http://", "http://"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[URI_SHOWN_BYTES];
        cr_expect_str_eq(uri_shown(rows[i][0], out, sizeof out), rows[i][1], "%s: %s", rows[i][0], out);
    }
}

Test(uri, that_is_long_is_cut_between_letters)
{
    char out[16];
    cr_expect_str_eq(uri_shown("https://u:p@example.org/a.jpg", out, sizeof out), "https://example");
    cr_expect_str_eq(uri_shown("photos:2024/summer/a.jpg", out, 8), "photos:");
    cr_expect_str_eq(uri_shown("http://h/", out, 1), "");
    cr_expect_str_eq(uri_shown("p:\xc3\xa9\xe6\xbc\xa2", out, 7), "p:\xc3\xa9");
    cr_expect_str_eq(uri_shown("http://u@h/\xe6\xbc\xa2", out, 12), "http://h/");
    cr_expect_str_eq(uri_shown("http://u@h/\xe6\xbc\xa2", out, 13), "http://h/\xe6\xbc\xa2");
}
