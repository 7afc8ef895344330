#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/settings.h"

struct inner {
    int64_t max_tokens;
    double temperature;
};
struct options {
    const char *data;
    const char *password;
    bool json;
    int64_t size;
    int dtype;
    double patience_s;
    struct setting_memory memory;
    struct setting_list roots;
    uint8_t colour[3];
    struct inner inner;
};

static const struct setting own_rows[] = {
    {.name = "data",
     .type = SETTING_STRING,
     .offset = offsetof(struct options, data),
     .help = "folder",
     .value = "DIR"},
    {.name = "redis-password",
     .type = SETTING_STRING,
     .offset = offsetof(struct options, password),
     .help = "password of Redis",
     .secret = true},
    {.name = "json", .type = SETTING_BOOL, .offset = offsetof(struct options, json), .help = "machine-readable"},
    {.name = "size",
     .type = SETTING_BYTES,
     .offset = offsetof(struct options, size),
     .fallback = "64MiB",
     .min = 1,
     .max = 1e12,
     .help = "size"},
    {.name = "patience",
     .type = SETTING_SECONDS,
     .offset = offsetof(struct options, patience_s),
     .fallback = "1m",
     .min = 0.1,
     .max = 3600,
     .help = "time to wait"},
    {.name = "dtype",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct options, dtype),
     .fallback = "auto",
     .choices = "auto|f32|bf16",
     .help = "precision"},
    {.name = "memory", .type = SETTING_MEMORY, .offset = offsetof(struct options, memory), .help = "budget"},
    {.name = "root",
     .type = SETTING_LIST,
     .offset = offsetof(struct options, roots),
     .fallback = "local=/",
     .value = "NAME=DIR",
     .help = "named root",
     .letter = 'r'},
    {.name = "colour",
     .type = SETTING_COLOUR,
     .offset = offsetof(struct options, colour),
     .fallback = "0a0B0c",
     .help = "colour"},
};
static const struct setting inner_rows[] = {
    {.name = "max-tokens",
     .type = SETTING_INT,
     .offset = offsetof(struct inner, max_tokens),
     .fallback = "512",
     .min = 1,
     .max = 2048,
     .help = "longest answer"},
    {.name = "temperature",
     .type = SETTING_FLOAT,
     .offset = offsetof(struct inner, temperature),
     .fallback = "0",
     .min = 0,
     .max = 2,
     .help = "0 is greedy"},
};
static const struct setting_group groups[] = {
    {.title = "general", .rows = own_rows, .n_rows = sizeof own_rows / sizeof *own_rows},
    {.title = "answers",
     .rows = inner_rows,
     .n_rows = sizeof inner_rows / sizeof *inner_rows,
     .at = offsetof(struct options, inner)},
};
static const struct settings_program program = {.name = "tool",
                                                .args = "PATH...",
                                                .summary = "Does things.",
                                                .examples = "  tool --json x\n",
                                                .max_args = 2,
                                                .groups = groups,
                                                .n_groups = 2};

enum { MAX_ARGS = 32 };

/* Reads a command line written with single spaces between arguments. */
static enum status read_line(const char *line, struct options *o, struct settings **s, struct diag *why)
{
    static char copy[1024];
    char *argv[MAX_ARGS];
    int argc = 0;
    snprintf(copy, sizeof copy, "tool %s", line);
    for (char *save = NULL, *at = strtok_r(copy, " ", &save); at && argc < MAX_ARGS; at = strtok_r(NULL, " ", &save))
        argv[argc++] = at;
    memset(o, 0, sizeof *o);
    return settings_read(&program, argc, argv, o, s, why);
}

static void expect_refused(const char *line, const char *sentence)
{
    struct options o;
    struct settings *s = NULL;
    struct diag why = {{0}};
    cr_expect_neq(read_line(line, &o, &s, &why), ST_OK, "%s", line);
    cr_expect_neq(strstr(why.text, sentence), NULL, "%s\n got: %s\nwant: %s", line, why.text, sentence);
    cr_expect_null(s);
}

static char *config_file(const char *text)
{
    static char path[] = "/tmp/settings-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
    return path;
}

/* What the caller of the tests has set for programs of his own is none of theirs. */
static void forget_environment(void)
{
    static const char prefix[] = "FERRET_";
    for (char **at = environ; *at;) {
        char name[64];
        size_t n = strcspn(*at, "=");
        if (strncmp(*at, prefix, sizeof prefix - 1) != 0 || n >= sizeof name) {
            at++;
            continue;
        }
        memcpy(name, *at, n);
        name[n] = '\0';
        cr_assert_eq(unsetenv(name), 0); /* the next one takes its place */
    }
}

TestSuite(settings, .init = forget_environment);

Test(settings, defaults_hold_where_nothing_is_given)
{
    struct options o;
    struct settings *s = NULL;
    cr_assert_eq(read_line("", &o, &s, NULL), ST_OK);
    cr_expect_null((void *)o.data);
    cr_expect_eq(o.size, 64 << 20);
    cr_expect(o.colour[0] == 10 && o.colour[1] == 11 && o.colour[2] == 12);
    cr_expect_eq(o.dtype, 0);
    cr_expect_eq(o.inner.max_tokens, 512);
    cr_assert_eq(o.roots.n, 1);
    cr_expect_str_eq(o.roots.items[0], "local=/");
    settings_free(s);
}

Test(settings, flags_of_every_type_and_arguments_in_any_order)
{
    struct options o;
    struct settings *s = NULL;
    cr_assert_eq(read_line("a --data=/x --json -r a=/1 --root b=/2 --memory 20GiB --size 2K --dtype bf16 b "
                           "--patience 15m --temperature 0.5 --max-tokens=7",
                           &o, &s, NULL),
                 ST_OK);
    cr_expect_str_eq(o.data, "/x");
    cr_expect(o.json);
    cr_expect_eq(o.size, 2048);
    cr_expect_eq(o.dtype, 2);
    cr_expect_eq(o.patience_s, 900);
    cr_expect_eq(o.memory.bytes, 20LL << 30);
    cr_expect_eq(o.inner.max_tokens, 7);
    cr_expect_eq(o.inner.temperature, 0.5);
    cr_assert_eq(o.roots.n, 2);
    cr_expect_str_eq(o.roots.items[1], "b=/2");
    cr_assert_eq(settings_n_args(s), 2);
    cr_expect_str_eq(settings_arg(s, 1), "b");
    cr_expect_null((void *)settings_arg(s, 2));
    settings_free(s);
}

Test(settings, two_dashes_end_the_flags_and_one_dash_is_an_argument)
{
    struct options o;
    struct settings *s = NULL;
    cr_assert_eq(read_line("- -- --json", &o, &s, NULL), ST_OK);
    cr_assert_eq(settings_n_args(s), 2);
    cr_expect_str_eq(settings_arg(s, 1), "--json");
    cr_expect_not(o.json);
    settings_free(s);
}

Test(settings, later_sources_win)
{
    char *path = config_file("{\"max-tokens\": 11, \"temperature\": 1, \"data\": \"/file\", \"root\": [\"f=/f\", "
                             "\"g=/g\"], \"json\": true}");
    char line[128];
    snprintf(line, sizeof line, "--config %s --data /flag", path);
    setenv("FERRET_MAX_TOKENS", "22", 1);
    setenv("FERRET_DATA", "/environment", 1);
    setenv("FERRET_TEMPERATURE", "", 1);
    struct options o;
    struct settings *s = NULL;
    cr_assert_eq(read_line(line, &o, &s, NULL), ST_OK);
    cr_expect_eq(o.inner.max_tokens, 22);
    cr_expect_str_eq(o.data, "/flag");
    cr_expect_eq(o.inner.temperature, 1, "an empty variable counts as absent");
    cr_expect(o.json);
    cr_assert_eq(o.roots.n, 2, "the file's list replaces the default");
    settings_free(s);

    setenv("FERRET_ROOT", "[\"e=/e\"]", 1);
    cr_assert_eq(read_line(line, &o, &s, NULL), ST_OK);
    cr_assert_eq(o.roots.n, 1);
    cr_expect_str_eq(o.roots.items[0], "e=/e");
    settings_free(s);
    unlink(path);
}

Test(settings, errors_name_source_value_and_expectation)
{
    expect_refused("--max-tokens 0", "--max-tokens \"0\": expected an integer from 1 to 2048");
    expect_refused("--max-tokens 12x", "--max-tokens \"12x\": expected an integer");
    expect_refused("--temperature nan", "--temperature \"nan\": expected a number from 0 to 2");
    expect_refused("--dtype f8", "--dtype \"f8\": expected one of auto|f32|bf16");
    expect_refused("--memory 1.5", "--memory \"1.5\": expected a share such as 0.9 or a size");
    expect_refused("--size 3parsecs", "--size \"3parsecs\": expected a size");
    expect_refused("--patience 2h", "--patience \"2h\": expected a time such as 90, 15m or 2h, in seconds from 0.1 to");
    expect_refused("--json=perhaps", "--json \"perhaps\": expected true or false");
    expect_refused("--colour red", "--colour \"red\": expected six hexadecimal digits");
    expect_refused("--jsn", "--jsn: no such flag of tool");
    expect_refused("-x", "-x: no such flag of tool");
    expect_refused("--data", "--data: expected a value behind it");
    expect_refused("a b c", "\"c\": one argument too many, expected PATH...");
    expect_refused("--redis-password secret", "a secret is not taken from the command line");
    expect_refused("--config /no/such/file", "/no/such/file: No such file");
    setenv("FERRET_MAX_TOKENS", "many", 1);
    expect_refused("", "FERRET_MAX_TOKENS \"many\": expected an integer from 1 to 2048");
}

Test(settings, a_config_file_with_an_unknown_key_or_a_wrong_kind_is_refused)
{
    const char *const cases[][2] = {{"{\"max_tokens\": 3}", "key max_tokens: no such setting of tool"},
                                    {"{\"max-tokens\": {}}", "key max-tokens: expected a single value"},
                                    {"{\"max-tokens\": [1]}", "key max-tokens: expected a single value"},
                                    {"{\"root\": [1]}", "key root: expected an array of strings"},
                                    {"{\"max-tokens\": 4096}", "key max-tokens \"4096\": expected an integer from 1"},
                                    {"[]", "expected a JSON object"},
                                    {"{", "not valid JSON"}};
    char path[] = "/tmp/settings-XXXXXX";
    close(mkstemp(path));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FILE *f = fopen(path, "w");
        fputs(cases[i][0], f);
        fclose(f);
        char line[128];
        snprintf(line, sizeof line, "--config %s", path);
        expect_refused(line, cases[i][1]);
    }
    unlink(path);
}

Test(settings, print_config_states_value_and_source_and_hides_secrets)
{
    setenv("FERRET_REDIS_PASSWORD", "xyzzy", 1);
    setenv("FERRET_MEMORY", "0.9", 1);
    struct options o;
    struct settings *s = NULL;
    cr_assert_eq(read_line("--print-config --max-tokens 3", &o, &s, NULL), ST_OK);
    struct json *root = NULL;
    const char *text = settings_text(s);
    cr_assert_neq((void *)text, NULL);
    cr_expect_null(strstr(text, "xyzzy"));
    cr_assert_eq(jsn_parse(text, strlen(text), "text", &root, NULL), ST_OK);
    const struct json *tokens = jsn_get(root, "max-tokens");
    cr_expect_eq(jsn_int(jsn_get(tokens, "value"), 0), 3);
    cr_expect_str_eq(jsn_string(jsn_get(tokens, "source"), ""), "--max-tokens");
    cr_expect_str_eq(jsn_string(jsn_get(jsn_get(root, "memory"), "source"), ""), "FERRET_MEMORY");
    cr_expect_eq(jsn_number(jsn_get(jsn_get(root, "memory"), "value"), 0), 0.9);
    cr_expect_str_eq(jsn_string(jsn_get(jsn_get(root, "dtype"), "value"), ""), "auto");
    cr_expect_str_eq(jsn_string(jsn_get(jsn_get(root, "dtype"), "source"), ""), "default");
    jsn_free(root);
    settings_free(s);
}

Test(settings, print_config_shows_addresses_without_their_secrets_but_hands_them_on_whole)
{
    struct options o;
    struct settings *s = NULL;
    char line[900], **flags = NULL, longer[400];
    int n = 0;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    snprintf(line, sizeof line,
             "--data=https://me:hush@h:9000/%s --root a=http://me:hush@h/ --root http://me:hush@h/?t=hush", longer);
    char whole[900];
    snprintf(whole, sizeof whole, "--print-config %s", line);
    cr_assert_eq(read_line(whole, &o, &s, NULL), ST_OK);
    const char *text = settings_text(s);
    snprintf(whole, sizeof whole, "\"https://h:9000/%s\"", longer);
    cr_expect_neq(strstr(text, whole), NULL, "%s", text);
    cr_expect_neq(strstr(text, "\"a=http://me:hush@h/\""), NULL, "no address, but a folder's name: %s", text);
    cr_expect_neq(strstr(text, "\"http://h/\""), NULL, "%s", text);
    settings_free(s);

    cr_assert_eq(read_line(line, &o, &s, NULL), ST_OK);
    const struct setting_group own = {.rows = own_rows, .n_rows = sizeof own_rows / sizeof *own_rows};
    cr_assert_eq(settings_flags(s, &own, &flags, &n), ST_OK);
    cr_assert_eq(n, 3);
    cr_expect_eq(strncmp(flags[0], "--data=https://me:hush@h:9000/", 30), 0, "%s", flags[0]);
    cr_expect_str_eq(flags[2], "--root=http://me:hush@h/?t=hush");
    settings_flags_free(flags, n);
    settings_free(s);
}

Test(settings, help_lists_every_row_even_beside_mistakes)
{
    struct options o;
    struct settings *s = NULL;
    setenv("FERRET_MAX_TOKENS", "many", 1);
    cr_assert_eq(read_line("--help --config /no/such/file", &o, &s, NULL), ST_OK);
    const char *text = settings_text(s);
    cr_expect_neq(strstr(text, "usage: tool [FLAGS] PATH..."), NULL);
    cr_expect_neq(strstr(text, "-r, --root NAME=DIR"), NULL);
    cr_expect_neq(strstr(text, "--dtype auto|f32|bf16"), NULL);
    cr_expect_neq(strstr(text, "[512]"), NULL);
    cr_expect_neq(strstr(text, "tool --json x"), NULL);
    settings_free(s);
}

Test(settings, print_flags_gives_a_program_each_row_in_its_own_line_of_fields)
{
    struct options o;
    struct settings *s = NULL;
    cr_assert_eq(read_line("--print-flags --config /no/such/file", &o, &s, NULL), ST_OK);
    const char *text = settings_text(s);
    cr_expect_eq(strncmp(text, "program\ttool\tPATH...\t", strlen("program\ttool\tPATH...\t")), 0);
    cr_expect_neq(strstr(text, "\nflag\troot\tr\tlist\tNAME=DIR\tlocal=/\tnamed root\n"), NULL);
    cr_expect_neq(strstr(text, "\nflag\tdtype\t\tchoice\tauto|f32|bf16\tauto\tprecision\n"), NULL);
    cr_expect_neq(strstr(text, "\nflag\tjson\t\tswitch\t\t\tmachine-readable\n"), NULL);
    cr_expect_neq(strstr(text, "\nflag\tredis-password\t\tsecret\tTEXT\t\tpassword of Redis\n"), NULL);
    cr_expect_neq(strstr(text, "\nexample\t  tool --json x\n"), NULL);
    settings_free(s);
}

Test(settings, what_is_set_goes_on_as_flags_and_defaults_and_secrets_do_not)
{
    struct options o;
    struct settings *s = NULL;
    struct diag why = {0};
    char **flags = NULL;
    int n = 0;
    setenv("FERRET_REDIS_PASSWORD", "hush", 1);
    cr_assert_eq(read_line("--json --size=2MiB --root a=/a --root=b=/b --dtype bf16", &o, &s, &why), ST_OK, "%s",
                 why.text);
    const struct setting_group own = {.rows = own_rows, .n_rows = sizeof own_rows / sizeof *own_rows};
    cr_assert_eq(settings_flags(s, &own, &flags, &n), ST_OK);
    static const char *const want[] = {"--json=true", "--size=2097152", "--dtype=bf16", "--root=a=/a", "--root=b=/b"};
    cr_assert_eq(n, 5);
    for (int i = 0; i < n; i++)
        cr_expect_str_eq(flags[i], want[i]);
    settings_flags_free(flags, n);
    settings_free(s);
    unsetenv("FERRET_REDIS_PASSWORD");
}

Test(settings, times_have_units_and_are_seconds_without_one)
{
    static const struct {
        const char *text;
        double seconds;
    } rows[] = {{"90", 90}, {"90s", 90}, {"500ms", 0.5}, {"15m", 900}, {"1.5h", 5400}, {"7d", 604800}, {"0", 0}};
    double found;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(settings_parse_seconds(rows[i].text, &found), ST_OK, "%s", rows[i].text);
        cr_expect_float_eq(found, rows[i].seconds, 1e-9, "%s: %g", rows[i].text, found);
    }
    const char *const wrong[] = {"", "s", "-1s", "1 s", "5min", "1h30m", "nan", "inf", "1M"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_neq(settings_parse_seconds(wrong[i], &found), ST_OK, "%s", wrong[i]);
}

Test(settings, sizes)
{
    int64_t n;
    cr_expect(settings_parse_bytes("20GiB", &n) == ST_OK && n == 20LL << 30);
    cr_expect(settings_parse_bytes("2GB", &n) == ST_OK && n == 2000000000);
    cr_expect(settings_parse_bytes("1.5k", &n) == ST_OK && n == 1536);
    cr_expect(settings_parse_bytes("12", &n) == ST_OK && n == 12);
    cr_expect(settings_parse_bytes("12B", &n) == ST_OK && n == 12);
    const char *const wrong[] = {"", "x", "-1", "3Q", "3iB", "3GiBs", "1e30", "nan"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_neq(settings_parse_bytes(wrong[i], &n), ST_OK, "%s", wrong[i]);
}
