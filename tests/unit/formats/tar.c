/* Claims of formats/read/tar.h, on archives that the system's tar writes in each of its formats. */
#include "formats/read/tar.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scratch.h"

enum { LONG = 180, ROOM = 1 << 20 };

struct archive {
    uint8_t *bytes;
    size_t len;
    int reads;
    size_t asked;
};

static enum status read_archive(void *ctx, uint64_t offset, size_t want, uint8_t *room, size_t *got, struct diag *why)
{
    struct archive *a = ctx;
    (void)why;
    a->reads++;
    a->asked += want;
    *got = offset >= a->len ? 0 : want < a->len - offset ? want : a->len - (size_t)offset;
    memcpy(room, a->bytes + (offset < a->len ? offset : 0), *got);
    return ST_OK;
}

/* Files of known content: each holds its own name. */
static void make_files(void)
{
    static bool made;
    char name[LONG + 32];
    if (made)
        return;
    made = true;
    scratch_folder("in");
    scratch_folder("in/deep");
    scratch_text("in/a.jpg", "a.jpg");
    scratch_text("in/deep/b c.jpg", "deep/b c.jpg");
    scratch_text("in/ünï.jpg", "ünï.jpg");
    memset(name, 'n', sizeof name);
    snprintf(name + LONG, 32, ".jpg");
    memcpy(name, "in/", 3);
    scratch_text(name, name + 3);
}

static struct archive make_archive(const char *format)
{
    char command[512];
    struct archive a = {.bytes = malloc(ROOM)};
    make_files();
    snprintf(command, sizeof command,
             "cd '%s' && ln -sf a.jpg in/link.jpg && ln -f in/a.jpg in/zhard.jpg && tar -C in --sort=name --format=%s "
             "-cf out.tar . 2>/dev/null",
             scratch(), format);
    (void)!system(command);
    FILE *f = fopen(scratch_path("out.tar"), "rb");
    cr_assert(f && a.bytes);
    a.len = fread(a.bytes, 1, ROOM, f);
    fclose(f);
    return a;
}

/* Walks the archive; each member's bytes must be its name. Returns their number; *end is how it ended. */
static int walk(struct archive *a, enum status *end)
{
    struct tar *t;
    struct tar_member m;
    struct diag why = {""};
    int n = 0;
    cr_assert_eq(tar_open(read_archive, a, &t), ST_OK);
    while ((*end = tar_next(t, &m, &why)) == ST_OK) {
        bool inside = m.offset + m.size <= a->len;
        cr_expect(!inside || (strlen(m.name) == m.size && memcmp(a->bytes + m.offset, m.name, m.size) == 0), "%s",
                  m.name);
        n++;
    }
    cr_expect(*end == ST_CLOSED || why.text[0]);
    tar_close(t);
    return n;
}

Test(tar, members_of_every_format_lie_where_they_are_said_to)
{
    static const struct {
        const char *format;
        int members;
    } formats[] = {{"ustar", 3}, {"gnu", 4}, {"pax", 4}, {"v7", 3}, {"oldgnu", 4}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct archive a = make_archive(formats[i].format);
        enum status end;
        cr_expect_eq(walk(&a, &end), formats[i].members, "%s", formats[i].format);
        cr_expect_eq(end, ST_CLOSED);
        free(a.bytes);
    }
}

Test(tar, an_archive_cut_anywhere_ends_in_order_or_with_a_sentence, .timeout = 60)
{
    struct archive a = make_archive("pax");
    for (; a.len > 0; a.len -= a.len > 7 ? 7 : 1) {
        enum status end;
        walk(&a, &end);
        cr_assert(end == ST_CLOSED || end == ST_FORMAT);
    }
    free(a.bytes);
}

Test(tar, a_damaged_byte_of_a_header_is_noticed)
{
    struct archive a = make_archive("ustar");
    for (size_t at = 0; at < 512; at++) {
        enum status end;
        struct tar *t;
        struct tar_member m;
        struct diag why = {""};
        a.bytes[at] ^= 0x11;
        cr_assert_eq(tar_open(read_archive, &a, &t), ST_OK);
        end = tar_next(t, &m, &why);
        tar_close(t);
        a.bytes[at] ^= 0x11;
        bool in_checksum = at >= 148 && at < 156; /* its last byte is a space whatever it is */
        cr_expect(end == ST_FORMAT || in_checksum, "byte %zu: %d %s", at, end, m.name);
    }
    free(a.bytes);
}

Test(tar, what_is_no_tar_or_compressed_is_named)
{
    static const char *const texts[] = {"", "short", "\x1F\x8B gzip", "\x28\xB5\x2F\xFD zstd"};
    static const char *const words[] = {"too short", "too short", "gzip", "zstd"};
    for (int i = 0; i < 4; i++) {
        struct archive a = {.bytes = calloc(1, 4096), .len = i < 2 ? strlen(texts[i]) : 4096};
        struct tar *t;
        struct tar_member m;
        struct diag why = {""};
        memcpy(a.bytes, texts[i], strlen(texts[i]));
        cr_assert_eq(tar_open(read_archive, &a, &t), ST_OK);
        cr_expect_eq(tar_next(t, &m, &why), ST_FORMAT);
        cr_expect(strstr(why.text, words[i]), "%s", why.text);
        tar_close(t);
        free(a.bytes);
    }
}

/* 200 members of 1 MiB in a row, made up as they are read. */
static enum status read_large(void *ctx, uint64_t offset, size_t want, uint8_t *room, size_t *got, struct diag *why)
{
    enum { STRIDE = (1 << 20) + 512, MEMBERS = 200 };
    struct archive *a = ctx;
    static uint8_t header[512];
    unsigned sum = 0;
    (void)why;
    memset(header, 0, sizeof header);
    snprintf((char *)header, 100, "large.jpg");
    snprintf((char *)header + 124, 12, "%011o", 1 << 20);
    header[156] = '0';
    memset(header + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
    a->reads++;
    a->asked += want;
    memset(room, 0, want);
    *got = want;
    for (size_t i = 0; i < want; i++) {
        uint64_t at = offset + i;
        if (at < (uint64_t)STRIDE * MEMBERS && at % STRIDE < 512)
            room[i] = header[at % STRIDE];
    }
    return ST_OK;
}

Test(tar, large_members_are_passed_over_not_read)
{
    struct archive a = {0};
    struct tar *t;
    struct tar_member m;
    int n = 0;
    cr_assert_eq(tar_open(read_large, &a, &t), ST_OK);
    while (tar_next(t, &m, NULL) == ST_OK)
        n++;
    tar_close(t);
    cr_expect_eq(n, 200);
    cr_expect_leq(a.reads, 202);
    cr_expect_lt(a.asked, 2 << 20, "%zu bytes asked for, of 200 MiB", a.asked);
}
