#include "formats/read/inputs.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"
#include "formats/read/bucket.h"
#include "formats/read/dataset.h"
#include "formats/read/flickr30k.h"
#include "formats/read/lines.h"
#include "formats/read/local_path.h"
#include "formats/read/make_input.h"
#include "formats/read/shard.h"
#include "formats/read/walk.h"

struct inputs {
    struct inputs_options options;
    int next_path;
    /* what is being read, innermost first; each may be absent */
    struct source *source;
    struct walk *walk;
    struct lines *lines;
    char *manifest;        /* as given */
    char *manifest_folder; /* absolute */
    glob_t glob;
    bool has_glob;
    size_t next_match;
    uint64_t seek; /* applied when the manifest is opened */
    char **images; /* those of the options, absolute or URIs */
};

static bool ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

static bool is_list_name(const char *path)
{
    return ends_with(path, ".txt") || ends_with(path, ".txt.gz") || ends_with(path, ".txt.zst");
}

static bool is_manifest_name(const char *path)
{
    return ends_with(path, ".jsonl") || ends_with(path, ".jsonl.gz") || ends_with(path, ".jsonl.zst") ||
           is_list_name(path);
}

bool inputs_is_manifest(const char *path)
{
    return strcmp(path, "-") == 0 || (is_manifest_name(path) && !is_list_name(path)) || is_dataset_name(path) ||
           is_flickr30k(path);
}

/* They are meant from the current folder, whichever file names the images in them. */
static enum status take_images(struct inputs *in, const struct inputs_options *o, struct diag *why)
{
    enum status s = ST_OK;
    if (o->n_images < 1)
        return ST_OK;
    if (!(in->images = calloc((size_t)o->n_images, sizeof *in->images)))
        return ST_NOMEM;
    for (int i = 0; s == ST_OK && i < o->n_images; i++) {
        if (!is_uri(o->images[i]))
            s = path_absolute(NULL, o->images[i], &in->images[i], why);
        else if (!(in->images[i] = strdup(o->images[i])))
            s = ST_NOMEM;
    }
    in->options.images = (const char *const *)in->images;
    return s;
}

enum status inputs_open(const struct inputs_options *o, struct inputs **out, struct diag *why)
{
    if (o->n_paths < 1)
        return diag_set(why, ST_INVALID, "no input named");
    struct inputs *in = calloc(1, sizeof *in);
    if (!in)
        return ST_NOMEM;
    in->options = *o;
    enum status s = take_images(in, o, why);
    if (s == ST_OK)
        *out = in;
    else
        inputs_close(in);
    return s;
}

static void close_manifest(struct inputs *in)
{
    lines_close(in->lines);
    free(in->manifest);
    free(in->manifest_folder);
    in->lines = NULL;
    in->manifest = in->manifest_folder = NULL;
}

static void close_glob(struct inputs *in)
{
    if (in->has_glob)
        globfree(&in->glob);
    in->has_glob = false;
}

static void close_source(struct inputs *in)
{
    if (in->source)
        in->source->close(in->source);
    in->source = NULL;
}

void inputs_close(struct inputs *in)
{
    if (!in)
        return;
    close_source(in);
    close_manifest(in);
    close_glob(in);
    walk_close(in->walk);
    for (int i = 0; in->images && i < in->options.n_images; i++)
        free(in->images[i]);
    free(in->images);
    free(in);
}

/* ---- manifests -----------------------------------------------------------------------------------------------------
 */

/* ST_CLOSED: opened, go on. Else *out is the one item that this manifest comes to. */
static enum status open_manifest(struct inputs *in, const char *path, struct input *out)
{
    struct diag why = {""};
    bool standard = strcmp(path, "-") == 0;
    char *folder = standard ? strdup(".") : path_folder(path);
    enum status s = folder ? path_absolute(NULL, folder, &in->manifest_folder, &why) : ST_NOMEM;
    free(folder);
    if (s == ST_OK && !(in->manifest = strdup(standard ? "stdin" : path)))
        s = ST_NOMEM;
    if (s == ST_OK)
        s = lines_open(path, INPUTS_LINE_BYTES, &in->lines, &why);
    if (s == ST_OK && in->seek)
        s = lines_seek(in->lines, in->seek, &why);
    in->seek = 0;
    if (s == ST_OK)
        return ST_CLOSED;
    close_manifest(in);
    if (s == ST_NOMEM)
        return s;
    return make_error(&in->options, path, s == ST_MISSING ? "missing_file" : "unreadable", why.text, out);
}

static bool is_blank(const struct line *line)
{
    for (size_t i = 0; i < line->len; i++) {
        if (!strchr(" \t\r", line->text[i]) || line->text[i] == '\0')
            return false;
    }
    return true;
}

static enum status next_line(struct inputs *in, struct input *out)
{
    struct line line;
    struct diag why = {""};
    enum status s;
    do
        s = lines_next(in->lines, &line, &why);
    while (s == ST_OK && !line.too_long && is_blank(&line));
    if (s == ST_OK) {
        s = (is_list_name(in->manifest) ? make_from_name : make_from_line)(&in->options, in->manifest,
                                                                           in->manifest_folder, &line, out);
    } else if (s == ST_IO || s == ST_FORMAT) {
        s = make_error(&in->options, in->manifest, "unreadable", why.text, out);
        close_manifest(in);
    }
    return s;
}

/* ---- folders -------------------------------------------------------------------------------------------------------
 */

/* What the opening of a source comes to: ST_CLOSED, go on with it. */
static enum status open_source(enum status opened)
{
    return opened == ST_OK ? ST_CLOSED : opened;
}

static enum status open_shard(struct inputs *in, const char *path, bool uri)
{
    return open_source(shard_open(&in->options, path, uri, &in->source));
}

/* ST_CLOSED: the walk is over, or a shard was met and opened. */
static enum status next_entry(struct inputs *in, struct input *out)
{
    enum walk_found found;
    char *path = NULL;
    struct diag why = {""};
    enum status s = walk_next(in->walk, &found, &path);
    if (s != ST_OK)
        return s;
    if (found == WALK_ENTRY && is_shard_name(path)) {
        s = open_shard(in, path, false);
    } else if (found == WALK_ENTRY) {
        s = make_from_path(&in->options, path, out);
    } else if (found == WALK_UNREADABLE) {
        diag_set(&why, ST_IO, "%s: the folder can't be read", path);
        s = make_error(&in->options, path, "unreadable", why.text, out);
    } else {
        diag_set(&why, ST_IO,
                 found == WALK_LOOP ? "%s: a link back to a folder on the way to it" : "%s: a folder, not an image",
                 path);
        s = make_error(&in->options, path, "not_a_file", why.text, out);
    }
    free(path);
    return s;
}

/* ---- arguments -----------------------------------------------------------------------------------------------------
 */

/* A shard or a bucket is opened; all else is an image. */
static enum status open_uri(struct inputs *in, const char *uri, struct input *out)
{
    if (is_shard_name(uri))
        return open_shard(in, uri, true);
    if (!is_bucket_folder(uri))
        return make_from_uri(&in->options, uri, out);
    return open_source(bucket_open(&in->options, uri, &in->source));
}

/* One path, which may be a folder, a manifest or anything. ST_CLOSED: opened, go on. */
static enum status open_path(struct inputs *in, const char *path, struct input *out)
{
    struct stat st;
    struct diag why = {""};
    if (strcmp(path, "-") == 0)
        return open_manifest(in, path, out);
    if (stat(path, &st) != 0) {
        if (lstat(path, &st) == 0 || !is_uri(path))
            return make_from_path(&in->options, path, out); /* reading it will say what is wrong */
        return open_uri(in, path, out);
    }
    if (S_ISDIR(st.st_mode) && walk_is_image_name(path)) {
        diag_set(&why, ST_IO, "%s: a folder, not an image (with a slash behind it, its files are meant)", path);
        return make_error(&in->options, path, "not_a_file", why.text, out);
    }
    if (S_ISDIR(st.st_mode) && is_flickr30k(path))
        return open_source(flickr30k_open(&in->options, path, &in->source));
    if (S_ISDIR(st.st_mode)) {
        enum status s = walk_open(path, &in->walk);
        return s == ST_OK ? ST_CLOSED : s;
    }
    if (is_manifest_name(path))
        return open_manifest(in, path, out);
    if (is_shard_name(path))
        return open_shard(in, path, false);
    if (is_dataset_name(path))
        return open_source(dataset_open(&in->options, path, &in->source));
    if (ends_with(path, ".ndjson")) {
        diag_set(&why, ST_FORMAT, "%s: no image; the names of manifests end in .jsonl, .jsonl.gz or .jsonl.zst", path);
        return make_error(&in->options, path, "not_an_image", why.text, out);
    }
    return make_from_path(&in->options, path, out);
}

static enum status open_glob(struct inputs *in, const char *pattern, struct input *out)
{
    int code = glob(pattern, 0, NULL, &in->glob);
    in->next_match = 0;
    if (code == 0) {
        in->has_glob = true;
        return ST_CLOSED;
    }
    globfree(&in->glob);
    if (code == GLOB_NOSPACE)
        return ST_NOMEM;
    struct diag why = {""};
    diag_set(&why, ST_MISSING, "%s: nothing of that name", pattern);
    return make_error(&in->options, pattern, "missing_file", why.text, out);
}

static enum status open_argument(struct inputs *in, const char *argument, struct input *out)
{
    struct stat st;
    if (strpbrk(argument, "*?[") && lstat(argument, &st) != 0 && !is_uri(argument))
        return open_glob(in, argument, out);
    return open_path(in, argument, out);
}

enum status inputs_next(struct inputs *in, struct input *out, struct diag *why)
{
    (void)why; /* what is wrong with an input is the input's; only memory can fail here */
    for (;;) {
        enum status s = ST_CLOSED;
        if (in->source) {
            if ((s = in->source->next(in->source, out)) == ST_CLOSED)
                close_source(in);
        } else if (in->lines) {
            if ((s = next_line(in, out)) == ST_CLOSED)
                close_manifest(in);
        } else if (in->walk) {
            if ((s = next_entry(in, out)) == ST_CLOSED && !in->source) {
                walk_close(in->walk);
                in->walk = NULL;
            }
        } else if (in->has_glob && in->next_match < in->glob.gl_pathc) {
            s = open_path(in, in->glob.gl_pathv[in->next_match++], out);
        } else if (in->next_path < in->options.n_paths) {
            close_glob(in);
            s = open_argument(in, in->options.paths[in->next_path++], out);
        } else {
            return ST_CLOSED;
        }
        if (s != ST_CLOSED)
            return s;
    }
}

void input_fini(struct input *i)
{
    job_free(i->job);
    *i = (struct input){0};
}

/* ---- going on ------------------------------------------------------------------------------------------------------
 */

bool inputs_resumable(const struct inputs *in)
{
    struct stat st;
    const char *path = in->options.paths[0];
    return in->options.n_paths == 1 && is_manifest_name(path) && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static enum status add_beginning(struct sha256 *h, const char *path, struct diag *why)
{
    enum { BEGINNING = 4096 };
    uint8_t bytes[BEGINNING];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return diag_set(why, ST_IO, "%s: can't be read", path);
    ssize_t n = read(fd, bytes, sizeof bytes);
    close(fd);
    if (n < 0)
        return diag_set(why, ST_IO, "%s: can't be read", path);
    sha256_add(h, bytes, (size_t)n);
    return ST_OK;
}

enum status inputs_identity(const struct inputs *in, uint8_t out[INPUTS_IDENTITY_BYTES], struct diag *why)
{
    struct sha256 h;
    sha256_init(&h);
    for (int i = 0; i < in->options.n_paths; i++) {
        char *path = NULL;
        enum status s = path_absolute(NULL, in->options.paths[i], &path, why);
        if (s != ST_OK)
            return s;
        sha256_add(&h, path, strlen(path) + 1);
        free(path);
    }
    enum status s = inputs_resumable(in) ? add_beginning(&h, in->options.paths[0], why) : ST_OK;
    if (s == ST_OK)
        sha256_end(&h, out);
    return s;
}

enum status inputs_seek(struct inputs *in, uint64_t offset, struct diag *why)
{
    if (!inputs_resumable(in) || in->next_path > 0)
        return diag_set(why, ST_INVALID, "only a single manifest in a file can be gone on with");
    struct lines *probe = NULL;
    enum status s = lines_open(in->options.paths[0], INPUTS_LINE_BYTES, &probe, why);
    if (s == ST_OK)
        s = lines_seek(probe, offset, why);
    lines_close(probe);
    if (s == ST_OK)
        in->seek = offset;
    return s;
}
