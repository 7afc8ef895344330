#include "cli/up_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/commands.h"

enum { FILE_MAX_BYTES = 64 << 10, PATH_BYTES = 4096, MAX_ROOTS = 64 };

static struct json *roots_json(const struct setting_list *roots)
{
    struct json *root = jsn_new_object();
    struct json *list = jsn_new_array();
    enum status s = ST_OK;
    for (int i = 0; s == ST_OK && i < roots->n; i++)
        s = jsn_push(list, jsn_new_string(roots->items[i]));
    enum status put = jsn_put(root, "roots", list);
    if (s != ST_OK || put != ST_OK) {
        jsn_free(root);
        return NULL;
    }
    return root;
}

enum status up_file_write(const char *data_dir, const struct setting_list *roots, struct diag *why)
{
    char path[PATH_BYTES], temporary[PATH_BYTES + 4];
    if (snprintf(path, sizeof path, "%s/up.json", data_dir) >= (int)sizeof path)
        return diag_set(why, ST_LIMIT, "%s: path too long", data_dir);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    struct json *root = roots_json(roots);
    char *text = root ? jsn_text_indented(root, 2) : NULL;
    jsn_free(root);
    if (!text)
        return ST_NOMEM;
    FILE *f = fopen(temporary, "w");
    bool ok = f && fprintf(f, "%s\n", text) > 0;
    if (f && fclose(f) != 0)
        ok = false;
    free(text);
    if (!ok || rename(temporary, path) != 0)
        return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    return ST_OK;
}

enum status up_file_roots(const struct link_flags *link, const struct setting_list *given, struct media_roots **out,
                          struct diag *why)
{
    if (given->n > 0 || link->broker)
        return media_roots_new(given->items, given->n, out, why);
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/up.json", link->data) >= (int)sizeof path)
        return diag_set(why, ST_LIMIT, "%s: path too long", link->data);
    struct json *root = NULL;
    enum status s = jsn_load(path, FILE_MAX_BYTES, &root, why);
    if (s == ST_MISSING)
        return diag_set(why, ST_CLOSED, "%s: no `ferret up` has run there", link->data);
    if (s != ST_OK)
        return s;
    const struct json *list = jsn_get(root, "roots");
    const char *specs[MAX_ROOTS];
    int n = 0;
    for (size_t i = 0; i < jsn_size(list) && n < MAX_ROOTS; i++) {
        specs[n] = jsn_string(jsn_at(list, i), NULL);
        if (specs[n])
            n++;
    }
    s = media_roots_new(specs, n, out, why);
    jsn_free(root);
    return s;
}
