/* Flags that several commands share. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "formats/read/inputs.h"
#include "protocol/paths.h"

/* ---- the task --------------------------------------------------------------------------------------------------- */

struct setting_group task_flags_group(size_t at)
{
    static const struct setting rows[] = {
        {.name = "task",
         .type = SETTING_CHOICE,
         .offset = offsetof(struct task_flags, task),
         .fallback = "caption",
         .choices = "caption|describe|locate|ask",
         .help = "caption the image, describe each region, locate phrases, ask a question"},
        {.name = "phrase",
         .type = SETTING_LIST,
         .offset = offsetof(struct task_flags, phrases),
         .value = "TEXT",
         .help = "what to locate"},
        {.name = "question",
         .type = SETTING_STRING,
         .offset = offsetof(struct task_flags, question),
         .value = "TEXT",
         .help = "what to ask; {region0} names the first region"},
        {.name = "box",
         .type = SETTING_LIST,
         .offset = offsetof(struct task_flags, boxes),
         .value = "X1,Y1,X2,Y2",
         .help = "a region of every image, in pixels"},
        {.name = "point",
         .type = SETTING_LIST,
         .offset = offsetof(struct task_flags, points),
         .value = "X,Y",
         .help = "a point of every image, in pixels"},
        {.name = "max-tokens",
         .type = SETTING_INT,
         .offset = offsetof(struct task_flags, max_tokens),
         .fallback = "512",
         .min = 1,
         .max = LIMIT_MAX_TOKENS,
         .help = "longest answer"},
        {.name = "temperature",
         .type = SETTING_FLOAT,
         .offset = offsetof(struct task_flags, temperature),
         .fallback = "0",
         .min = 0,
         .max = 2,
         .help = "0 is greedy"},
        {.name = "top-p",
         .type = SETTING_FLOAT,
         .offset = offsetof(struct task_flags, top_p),
         .fallback = "1",
         .min = 1e-6,
         .max = 1,
         .help = "nucleus of the sampling"},
        {.name = "seed",
         .type = SETTING_INT,
         .offset = offsetof(struct task_flags, seed),
         .fallback = "0",
         .min = 0,
         .max = 0x1p63,
         .help = "of the sampling and of the points drawn in a region"},
        {.name = "compat",
         .type = SETTING_STRING,
         .offset = offsetof(struct task_flags, compat),
         .value = "ml-ferret",
         .help = "read images and end answers as the reference does"},
        {.name = "images",
         .type = SETTING_LIST,
         .offset = offsetof(struct task_flags, images),
         .value = "DIR|URI",
         .help = "where the images of a data set's file lie; without it beside that file"},
    };
    return (struct setting_group){.title = "task", .rows = rows, .n_rows = sizeof rows / sizeof *rows, .at = at};
}

/* "1,2.5,3,4" -> n numbers. */
static bool parse_numbers(const char *text, double *out, int n)
{
    for (int i = 0; i < n; i++) {
        char *end;
        out[i] = strtod(text, &end);
        if (end == text || !isfinite(out[i]) || *end != (i + 1 < n ? ',' : '\0'))
            return false;
        text = end + 1;
    }
    return true;
}

static enum status add_regions(const struct task_flags *f, struct job *job, struct diag *why)
{
    int n = f->boxes.n + f->points.n;
    if (n > LIMIT_REGIONS)
        return diag_set(why, ST_LIMIT, "%d regions, at most %d an image", n, LIMIT_REGIONS);
    job->regions = calloc((size_t)n + 1, sizeof *job->regions);
    if (!job->regions)
        return ST_NOMEM;
    for (int i = 0; i < n; i++) {
        bool box = i < f->boxes.n;
        const char *text = box ? f->boxes.items[i] : f->points.items[i - f->boxes.n];
        struct job_region *r = &job->regions[job->n_regions++];
        r->kind = box ? JOB_BOX : JOB_POINT;
        if (!parse_numbers(text, r->box, box ? 4 : 2))
            return diag_set(why, ST_INVALID, "--%s \"%s\": expected %s in pixels", box ? "box" : "point", text,
                            box ? "X1,Y1,X2,Y2" : "X,Y");
    }
    return ST_OK;
}

static enum status copy_texts(const char *const *texts, int n, char ***out, int *n_out)
{
    *out = calloc((size_t)n + 1, sizeof **out);
    if (!*out)
        return ST_NOMEM;
    for (int i = 0; i < n; i++) {
        (*out)[i] = strdup(texts[i]);
        if (!(*out)[i])
            return ST_NOMEM;
        ++*n_out;
    }
    return ST_OK;
}

static enum status add_task(const struct task_flags *f, struct job *job, struct diag *why)
{
    job->tasks = calloc(1, sizeof *job->tasks);
    if (!job->tasks)
        return ST_NOMEM;
    job->n_tasks = 1;
    struct job_task *task = job->tasks;
    task->kind = (enum task_kind)f->task;
    task->options = (struct job_options){
        .max_tokens = (int)f->max_tokens,
        .temperature = f->temperature,
        .top_p = f->top_p,
        .seed = (uint64_t)f->seed,
        .repetition_stop = !f->compat,
    };
    if (f->phrases.n != 0 && task->kind != TASK_LOCATE)
        return diag_set(why, ST_INVALID, "--phrase: expected --task locate beside it");
    if (f->question && task->kind != TASK_ASK)
        return diag_set(why, ST_INVALID, "--question: expected --task ask beside it");
    if (task->kind == TASK_LOCATE) {
        if (f->phrases.n > LIMIT_PHRASES)
            return diag_set(why, ST_LIMIT, "%d phrases, at most %d", f->phrases.n, LIMIT_PHRASES);
        return copy_texts(f->phrases.items, f->phrases.n, &task->phrases, &task->n_phrases);
    }
    if (task->kind == TASK_ASK) {
        if (!f->question)
            return diag_set(why, ST_INVALID, "--task ask: expected --question TEXT");
        return copy_texts(&f->question, 1, &task->turns, &task->n_turns);
    }
    return ST_OK;
}

enum status task_flags_job(const struct task_flags *f, struct job **out, struct diag *why)
{
    if (f->compat && strcmp(f->compat, "ml-ferret") != 0)
        return diag_set(why, ST_INVALID, "--compat \"%s\": expected ml-ferret", f->compat);
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return ST_NOMEM;
    job->policy = strdup(f->compat ? f->compat : "default");
    job->tenant = strdup("default");
    job->campaign = strdup("");
    job->priority = 1;
    job->max_retries = 4;
    enum status s = job->policy && job->tenant && job->campaign ? ST_OK : ST_NOMEM;
    if (s == ST_OK)
        s = add_regions(f, job, why);
    if (s == ST_OK)
        s = add_task(f, job, why);
    if (s != ST_OK) {
        job_free(job);
        return s;
    }
    *out = job;
    return ST_OK;
}

enum status task_flags_check_paths(const struct task_flags *f, const char *const *paths, int n, struct diag *why)
{
    bool regions = f->task == TASK_DESCRIBE && f->boxes.n + f->points.n == 0;
    bool phrases = f->task == TASK_LOCATE && f->phrases.n == 0;
    for (int i = 0; (regions || phrases) && i < n; i++) {
        if (inputs_is_manifest(paths[i]))
            continue;
        return phrases ? diag_set(why, ST_INVALID,
                                  "--task locate: %s: expected at least one --phrase TEXT, or phrases in a manifest",
                                  paths[i])
                       : diag_set(why, ST_INVALID,
                                  "--task describe: %s: expected --box or --point, or regions in a manifest", paths[i]);
    }
    return ST_OK;
}

/* ---- the way to a broker ---------------------------------------------------------------------------------------- */

struct setting_group link_flags_group(size_t at)
{
    static const struct setting rows[] = {
        {.name = "data",
         .type = SETTING_STRING,
         .offset = offsetof(struct link_flags, data),
         .fallback = DEFAULT_DATA_DIR,
         .value = "DIR",
         .help = "folder of a `ferret up` on this machine"},
        {.name = "broker",
         .type = SETTING_STRING,
         .offset = offsetof(struct link_flags, broker),
         .value = "URL",
         .help = "a broker elsewhere, such as tcp://host:7411, or several joined by commas; wins over --data"},
    };
    return (struct setting_group){.title = "broker", .rows = rows, .n_rows = sizeof rows / sizeof *rows, .at = at};
}

enum status link_flags_open(const struct link_flags *f, struct client **out, struct diag *why)
{
    char address[PATHS_LIST_BYTES];
    if (!f->broker) {
        int there;
        enum status s = paths_clients(f->data, address, &there, why);
        if (s != ST_OK)
            return s;
        if (there == 0)
            return diag_set(why, ST_CLOSED, "%s: no broker there; start `ferret up --data %s`, or give --broker URL",
                            f->data, f->data);
    }
    struct key_ring ring;
    enum status s = key_flags_load(&f->keys, &ring, why);
    if (s != ST_OK)
        return s;
    struct client_options o = {
        .address = f->broker ? f->broker : address, .keys = ring.use, .insecure = f->keys.insecure};
    s = client_open(&o, out, why);
    return s == ST_TIMEOUT ? diag_wrap(why, s, "%s", o.address) : s;
}

/* ---- running and people
 * ----------------------------------------------------------------------------------------------------- */

int command_run(const struct settings_program *program, int argc, char *const *argv, void *options, command_fn run)
{
    struct settings *settings;
    struct diag why = {{0}};
    int code = EXIT_OK;
    if (!settings_start(program, argc, argv, options, &settings, &code))
        return code;
    enum status s = run(options, settings, &code, &why);
    settings_free(settings);
    if (s == ST_OK)
        return code;
    if (why.text[0] || s != ST_CANCELLED)
        fprintf(stderr, "%s: %s\n", program->name, why.text[0] ? why.text : status_word(s));
    return program_exit_code(s);
}

void command_unknown(const char *program, const char *word)
{
    if (word[0] == '-')
        fprintf(stderr, "%s: %s: expected a command in front of its flags: %s COMMAND %s\n", program, word, program,
                word);
    else
        fprintf(stderr, "%s: \"%s\": no such command\n", program, word);
    fprintf(stderr, "`%s --help` lists the commands\n", program);
}

enum status print_object(struct json *o, enum status s)
{
    char *text = s == ST_OK ? jsn_text(o) : NULL;
    jsn_free(o);
    if (!text)
        return s == ST_OK ? ST_NOMEM : s;
    puts(text);
    free(text);
    return ST_OK;
}

bool confirm(const char *fmt, ...)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return false;
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputs(" [y/N] ", stderr);
    char answer[16] = "";
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}
