#include "formats/read/flickr30k.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/read/dataset_parts.h"
#include "formats/read/lines.h"
#include "formats/read/local_path.h"
#include "formats/read/make_input.h"
#include "formats/read/walk.h"

enum { SENTENCES_MOST = 64, SENTENCE_BYTES = 64 << 10, ID_ROOM = 32 };

struct flickr30k {
    struct source source;
    const struct inputs_options *options;
    char *folder; /* absolute, once it is read */
    enum wanted wanted;
    struct walk *walk;
};

static bool has_folder(const char *folder, const char *name)
{
    char *path = NULL;
    struct stat st;
    bool there = asprintf(&path, "%s/%s", folder, name) >= 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    free(path);
    return there;
}

bool is_flickr30k(const char *folder)
{
    return has_folder(folder, "Sentences") && has_folder(folder, "Annotations");
}

static void close_flickr30k(struct source *source)
{
    struct flickr30k *f = (struct flickr30k *)(void *)source;
    walk_close(f->walk);
    free(f->folder);
    free(f);
}

/* The phrases of a sentence, at most what a task may have. NULL when memory is short. */
static struct json *phrases_of(const struct line *line)
{
    struct json *phrases = jsn_new_array();
    enum status s = ST_OK;
    const char *at = line->text, *end = line->text + line->len;
    while (s == ST_OK && (at = memmem(at, (size_t)(end - at), "[/EN#", 5)) && jsn_size(phrases) < LIMIT_PHRASES) {
        const char *close = memchr(at, ']', (size_t)(end - at));
        const char *text = close ? memchr(at, ' ', (size_t)(close - at)) : NULL;
        if (!close)
            break;
        if (text && close > text + 1)
            s = jsn_push(phrases, jsn_new_string_n(text + 1, (size_t)(close - text - 1)));
        at = close;
    }
    if (s == ST_OK)
        return phrases;
    jsn_free(phrases);
    return NULL;
}

static enum status add_sentences(const char *path, struct json *tasks, struct diag *why)
{
    struct lines *lines = NULL;
    struct line line;
    enum status s = lines_open(path, SENTENCE_BYTES, &lines, why);
    for (int i = 0; s == ST_OK && i < SENTENCES_MOST && (s = lines_next(lines, &line, why)) == ST_OK; i++) {
        char id[ID_ROOM];
        struct json *phrases = phrases_of(&line);
        snprintf(id, sizeof id, "sentence-%d", i);
        if (!phrases)
            s = ST_NOMEM;
        else if (jsn_size(phrases) > 0)
            s = dataset_add_locate(tasks, id, phrases);
        else
            jsn_free(phrases);
    }
    lines_close(lines);
    if (s == ST_CLOSED)
        s = ST_OK;
    return s == ST_OK && jsn_size(tasks) == 0 ? diag_set(why, ST_FORMAT, "%s: no marked phrase", path) : s;
}

/* path: of the sentences. */
static enum status make(struct flickr30k *f, const char *path, struct input *out)
{
    struct diag why = {""};
    const char *name = strrchr(path, '/') + 1, *dot = strrchr(name, '.');
    char *id = strndup(name, dot ? (size_t)(dot - name) : strlen(name)), *file = NULL, *image = NULL;
    struct json *job = NULL, *tasks = NULL;
    enum status s = id && asprintf(&file, "%s.jpg", id) >= 0 ? ST_OK : ST_NOMEM;
    if (s == ST_OK)
        s = dataset_image(f->options, f->folder, file, &image);
    if (s == ST_OK && (!(job = dataset_job(id, 1, image)) || !(tasks = jsn_new_array())))
        s = ST_NOMEM;
    if (s == ST_OK && f->wanted == WANTED_PHRASES)
        s = add_sentences(path, tasks, &why);
    if (s == ST_OK && f->wanted == WANTED_PHRASES) {
        s = jsn_put(job, "tasks", tasks);
        tasks = NULL;
    }
    if (s == ST_OK)
        s = make_from_object(f->options, f->folder, f->folder, job, out);
    else if (s != ST_NOMEM)
        s = make_error(f->options, path, s == ST_FORMAT ? "bad_manifest" : "unreadable", why.text, out);
    jsn_free(tasks);
    jsn_free(job);
    free(image);
    free(file);
    free(id);
    return s;
}

static enum status next(struct source *source, struct input *out)
{
    struct flickr30k *f = (struct flickr30k *)(void *)source;
    for (;;) {
        enum walk_found found;
        char *path = NULL;
        enum status s = walk_next(f->walk, &found, &path);
        if (s != ST_OK)
            return s;
        size_t n = strlen(path);
        bool sentences = found == WALK_ENTRY && n > 4 && strcmp(path + n - 4, ".txt") == 0;
        s = sentences ? make(f, path, out) : ST_CLOSED;
        free(path);
        if (s != ST_CLOSED)
            return s;
    }
}

enum status flickr30k_open(const struct inputs_options *o, const char *folder, struct source **out)
{
    struct flickr30k *f = calloc(1, sizeof *f);
    char *sentences = NULL;
    if (!f)
        return ST_NOMEM;
    f->source = (struct source){.next = next, .close = close_flickr30k};
    f->options = o;
    f->wanted = wanted_of(o);
    enum status s = path_absolute(NULL, folder, &f->folder, NULL);
    if (s == ST_OK && asprintf(&sentences, "%s/Sentences", folder) < 0) {
        sentences = NULL;
        s = ST_NOMEM;
    }
    if (s == ST_OK)
        s = walk_open(sentences, &f->walk);
    free(sentences);
    if (s != ST_OK) {
        close_flickr30k(&f->source);
        return ST_NOMEM;
    }
    *out = &f->source;
    return ST_OK;
}
