#include "formats/write/coco_names.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "formats/write/answer.h"

enum { FILE_MOST = 1 << 30, HEAD_BYTES = 64 };
static const int64_t GIVEN_BELOW = (int64_t)1 << 40;

/* ---- categories ------------------------------------------------------------------------------------------------- */

static enum status add_given(struct coco_names *n, const struct json *row, size_t place, const char *path,
                             struct diag *why)
{
    int64_t id = jsn_int(jsn_get(row, "id"), -1);
    const char *name = jsn_string(jsn_get(row, "name"), "");
    if (id < 0 || !*name)
        return diag_set(why, ST_FORMAT, "%s: categories[%zu]: expected {\"id\": number, \"name\": text}", path, place);
    enum status s = words_add(&n->categories, name, id);
    return s == ST_INVALID ? diag_set(why, ST_FORMAT, "%s: categories[%zu]: \"%s\" is there twice", path, place, name)
                           : s;
}

enum status coco_names_open(struct coco_names *n, const char *path, struct diag *why)
{
    struct json *file = NULL;
    *n = (struct coco_names){.next = 0};
    if (!path)
        return ST_OK;
    enum status s = jsn_load(path, FILE_MOST, &file, why);
    if (s != ST_OK)
        return s;
    const struct json *list = jsn_kind(file) == JSON_KIND_ARRAY ? file : jsn_get(file, "categories");
    if (jsn_size(list) == 0)
        s = diag_set(why, ST_FORMAT, "%s: expected a list of categories, [{\"id\", \"name\"}, ...]", path);
    for (size_t i = 0; s == ST_OK && i < jsn_size(list); i++)
        s = add_given(n, jsn_at(list, i), i, path, why);
    n->given = true;
    jsn_free(file);
    return s;
}

void coco_names_fini(struct coco_names *n)
{
    words_fini(&n->categories);
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || ((unsigned char)c & 0x80);
}

static bool has_name(const char *phrase, const char *name)
{
    size_t len = strlen(name);
    for (const char *s = phrase; *s; s++) {
        if ((s > phrase && is_word(s[-1])) || strncasecmp(s, name, len) != 0)
            continue;
        const char *end = s + len;
        end += *end == 's' || *end == 'S';
        if (!is_word(*end))
            return true;
    }
    return false;
}

enum status coco_names_category(struct coco_names *n, const char *phrase, int64_t *category)
{
    char head[HEAD_BYTES];
    if (!n->given) {
        answer_head(phrase, head, sizeof head);
        return words_number(&n->categories, *head ? head : "object", category);
    }
    size_t longest = 0;
    *category = 0;
    for (size_t i = 0; i < n->categories.n; i++) {
        const struct word *w = &n->categories.list[i];
        if (strlen(w->text) > longest && has_name(phrase, w->text)) {
            longest = strlen(w->text);
            *category = w->number;
        }
    }
    return ST_OK;
}

/* ---- images ----------------------------------------------------------------------------------------------------- */

static int64_t given_number(const struct json *record)
{
    enum { DIGITS = 12 }; /* below 2^40 */
    int64_t number = jsn_int(jsn_get(jsn_get(record, "meta"), "image_id"), -1);
    if (number >= 0 && number < GIVEN_BELOW)
        return number;
    const char *key = jsn_string(jsn_get(record, "id"), "");
    size_t len = strlen(key);
    if (len == 0 || len > DIGITS || strspn(key, "0123456789") != len || (key[0] == '0' && len > 1))
        return -1;
    number = 0;
    for (; *key; key++)
        number = number * 10 + (*key - '0');
    return number;
}

int64_t coco_names_image(struct coco_names *n, const struct json *record)
{
    int64_t given = given_number(record);
    if (n->next == 0) {
        n->counted = given < 0;
        n->next = n->counted ? 1 : GIVEN_BELOW;
    }
    return n->counted || given < 0 ? n->next++ : given;
}
