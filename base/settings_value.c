/* One value: from text into the field of its type, with the range that the table states. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings_impl.h"

enum status settings_parse_bytes(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || errno == ERANGE || !(value >= 0) || text[0] == '-')
        return ST_INVALID;
    static const char prefixes[] = "KMGT";
    int power = 0;
    const char *prefix = *end ? strchr(prefixes, *end == 'k' ? 'K' : *end) : NULL;
    if (prefix) {
        power = (int)(prefix - prefixes) + 1;
        end++;
    }
    double step = strcmp(end, "B") == 0 ? 1000 : 1024;
    if (*end && strcmp(end, "B") != 0 && (strcmp(end, "iB") != 0 || !power))
        return ST_INVALID;
    value *= pow(step, power);
    if (value > 9e18)
        return ST_INVALID;
    *out = (int64_t)value;
    return ST_OK;
}

enum status settings_parse_seconds(const char *text, double *out)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"ms", 0.001}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    char *end;
    double value = strtod(text, &end);
    if (end == text || !isfinite(value) || value < 0)
        return ST_INVALID;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].name) == 0) {
            *out = value * units[i].seconds;
            return ST_OK;
        }
    return ST_INVALID;
}

static enum status refuse(const struct setting *row, const char *where, const char *text, const char *expected,
                          struct diag *why)
{
    if (row->secret)
        return diag_set(why, ST_INVALID, "%s: expected %s", where, expected);
    return diag_set(why, ST_INVALID, "%s \"%s\": expected %s", where, text, expected);
}

static bool has_range(const struct setting *row)
{
    return row->min != 0 || row->max != 0;
}

/* "an integer from 1 to 2048", "a number", ... */
/* 2^63 as a bound means the largest integer, which a double can't hold. */
static long long whole_max(const struct setting *row)
{
    return row->max >= 0x1p63 ? LLONG_MAX : (long long)row->max;
}

static void expectation(const struct setting *row, const char *kind, char *out, size_t size)
{
    if (has_range(row) && row->type == SETTING_INT)
        snprintf(out, size, "%s from %lld to %lld", kind, (long long)row->min, whole_max(row));
    else if (has_range(row))
        snprintf(out, size, "%s from %.15g to %.15g", kind, row->min, row->max);
    else
        snprintf(out, size, "%s", kind);
}

static bool in_range(const struct setting *row, double value)
{
    return !has_range(row) || (value >= row->min && value <= row->max);
}

static enum status set_number(const struct slot *slot, const char *text, const char *where, struct diag *why)
{
    const struct setting *row = slot->row;
    char expected[128];
    char *end;
    errno = 0;
    if (row->type == SETTING_INT) {
        long long value = strtoll(text, &end, 10);
        expectation(row, "an integer", expected, sizeof expected);
        if (end == text || *end || errno == ERANGE || !in_range(row, (double)value))
            return refuse(row, where, text, expected, why);
        *(int64_t *)slot->field = value;
        return ST_OK;
    }
    double value = strtod(text, &end);
    expectation(row, "a number", expected, sizeof expected);
    if (end == text || *end || !isfinite(value) || !in_range(row, value))
        return refuse(row, where, text, expected, why);
    *(double *)slot->field = value;
    return ST_OK;
}

static enum status set_bool(const struct slot *slot, const char *text, const char *where, struct diag *why)
{
    static const char *const yes[] = {"true", "1", "yes", "on"}, *const no[] = {"false", "0", "no", "off"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        bool is_yes = strcmp(text, yes[i]) == 0;
        if (is_yes || strcmp(text, no[i]) == 0) {
            *(bool *)slot->field = is_yes;
            return ST_OK;
        }
    }
    return refuse(slot->row, where, text, "true or false", why);
}

static enum status set_bytes(const struct slot *slot, const char *text, const char *where, struct diag *why)
{
    int64_t value;
    char expected[128];
    expectation(slot->row, "a size such as 512MiB", expected, sizeof expected);
    if (settings_parse_bytes(text, &value) != ST_OK || !in_range(slot->row, (double)value))
        return refuse(slot->row, where, text, expected, why);
    *(int64_t *)slot->field = value;
    return ST_OK;
}

static enum status set_seconds(const struct slot *slot, const char *text, const char *where, struct diag *why)
{
    double value;
    char expected[128];
    expectation(slot->row, "a time such as 90, 15m or 2h, in seconds", expected, sizeof expected);
    if (settings_parse_seconds(text, &value) != ST_OK || !in_range(slot->row, value))
        return refuse(slot->row, where, text, expected, why);
    *(double *)slot->field = value;
    return ST_OK;
}

static enum status set_memory(const struct slot *slot, const char *text, const char *where, struct diag *why)
{
    struct setting_memory value = {0};
    char *end;
    double share = strtod(text, &end);
    if (end != text && !*end && share > 0 && share <= 1)
        value.share = share;
    else if (settings_parse_bytes(text, &value.bytes) != ST_OK || value.bytes < (1 << 20))
        return refuse(slot->row, where, text, "a share such as 0.9 or a size such as 20GiB", why);
    *(struct setting_memory *)slot->field = value;
    return ST_OK;
}

static enum status set_colour(const struct slot *slot, const char *text, const char *where, struct diag *why)
{
    if (strlen(text) != 6 || strspn(text, "0123456789abcdefABCDEF") != 6)
        return refuse(slot->row, where, text, "six hexadecimal digits RRGGBB", why);
    unsigned long value = strtoul(text, NULL, 16);
    uint8_t *out = slot->field;
    for (int i = 0; i < 3; i++)
        out[i] = (uint8_t)(value >> (16 - 8 * i));
    return ST_OK;
}

static enum status set_choice(const struct slot *slot, const char *text, const char *where, struct diag *why)
{
    size_t len = strlen(text);
    int index = 0;
    for (const char *at = slot->row->choices; at; index++) {
        const char *bar = strchr(at, '|');
        size_t n = bar ? (size_t)(bar - at) : strlen(at);
        if (n == len && memcmp(at, text, n) == 0) {
            *(int *)slot->field = index;
            return ST_OK;
        }
        at = bar ? bar + 1 : NULL;
    }
    char expected[256];
    snprintf(expected, sizeof expected, "one of %s", slot->row->choices);
    return refuse(slot->row, where, text, expected, why);
}

static enum status set_list(struct settings *s, struct slot *slot, const char *text, enum source source)
{
    if (source > slot->source)
        slot->n_items = 0;
    if (slot->n_items == slot->room) {
        int room = slot->room ? 2 * slot->room : 4;
        const char **items = realloc(slot->items, (size_t)room * sizeof *items);
        if (!items)
            return ST_NOMEM;
        slot->items = items;
        slot->room = room;
    }
    const char *kept = settings_keep(s, text);
    if (!kept)
        return ST_NOMEM;
    slot->items[slot->n_items++] = kept;
    *(struct setting_list *)slot->field = (struct setting_list){.items = slot->items, .n = slot->n_items};
    return ST_OK;
}

enum status settings_set(struct settings *s, struct slot *slot, const char *text, enum source source, const char *where,
                         struct diag *why)
{
    enum status status = ST_OK;
    switch (slot->row->type) {
    case SETTING_STRING: {
        const char *kept = settings_keep(s, text);
        if (!kept)
            return ST_NOMEM;
        *(const char **)slot->field = kept;
        break;
    }
    case SETTING_INT:
    case SETTING_FLOAT: status = set_number(slot, text, where, why); break;
    case SETTING_BOOL: status = set_bool(slot, text, where, why); break;
    case SETTING_BYTES: status = set_bytes(slot, text, where, why); break;
    case SETTING_SECONDS: status = set_seconds(slot, text, where, why); break;
    case SETTING_MEMORY: status = set_memory(slot, text, where, why); break;
    case SETTING_CHOICE: status = set_choice(slot, text, where, why); break;
    case SETTING_COLOUR: status = set_colour(slot, text, where, why); break;
    case SETTING_LIST: status = set_list(s, slot, text, source); break;
    }
    if (status == ST_OK)
        slot->source = source;
    return status;
}
