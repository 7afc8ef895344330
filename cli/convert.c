/* `ferret convert`: any checkpoint layout -> one folder. model/convert.h does it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "model/convert.h"

struct convert_flags {
    const char *out, *base, *vision_tower, *dtype;
    int64_t shard_size;
};

static const struct setting convert_rows[] = {
    {.name = "out",
     .type = SETTING_STRING,
     .offset = offsetof(struct convert_flags, out),
     .value = "DIR",
     .help = "folder to write; must not be there yet",
     .letter = 'o'},
    {.name = "base",
     .type = SETTING_STRING,
     .offset = offsetof(struct convert_flags, base),
     .value = "DIR",
     .help = "checkpoint that CHECKPOINT is a delta over"},
    {.name = "vision-tower",
     .type = SETTING_STRING,
     .offset = offsetof(struct convert_flags, vision_tower),
     .value = "DIR",
     .help = "folder of the vision tower; without it CHECKPOINT/vision_tower"},
    {.name = "dtype",
     .type = SETTING_STRING,
     .offset = offsetof(struct convert_flags, dtype),
     .fallback = "f16",
     .value = "f16|f32|bf16|int8",
     .help = "precision on disk; int8: the decoder's linear layers, the rest f16"},
    {.name = "shard-size",
     .type = SETTING_BYTES,
     .offset = offsetof(struct convert_flags, shard_size),
     .fallback = "5GB",
     .min = 1 << 20,
     .max = 1e15,
     .help = "largest file of weights"},
};

struct ticker {
    int64_t next_ms;
};

static void show_progress(void *ctx, const char *tensor, int64_t done, int64_t total)
{
    struct ticker *t = ctx;
    int64_t now = clock_ms();
    if (now < t->next_ms)
        return;
    t->next_ms = now + 500;
    fprintf(stderr, "\r\033[K%3.0f %%  %s", total > 0 ? 100.0 * (double)done / (double)total : 100.0, tensor);
}

static enum status convert(void *options, const struct settings *settings, int *exit_code, struct diag *why)
{
    const struct convert_flags *o = options;
    struct ticker ticker = {0};
    bool terminal = isatty(STDERR_FILENO);
    struct convert_options to = {
        .model_dir = settings_arg(settings, 0),
        .base_dir = o->base,
        .tower_dir = o->vision_tower,
        .out_dir = o->out,
        .shard_bytes = o->shard_size,
        .progress = terminal ? show_progress : NULL,
        .progress_ctx = &ticker,
    };
    (void)exit_code;
    if (!o->out || strcmp(o->out, "-") == 0)
        return diag_set(why, ST_INVALID, "expected -o DIR");
    enum status s = convert_dtype_parse(o->dtype, &to.dtype, why);
    if (s == ST_OK)
        s = convert_run(&to, why);
    if (terminal)
        fputs("\r\033[K", stderr);
    return s;
}

int cmd_convert(int argc, char **argv)
{
    struct convert_flags o = {0};
    const struct setting_group groups[] = {
        {.title = "checkpoint", .rows = convert_rows, .n_rows = sizeof convert_rows / sizeof *convert_rows},
    };
    const struct settings_program program = {
        .name = "ferret convert",
        .args = "CHECKPOINT",
        .summary = "Writes a checkpoint of any layout (safetensors, PyTorch shards, a delta over its base, a tower in\n"
                   "a folder of its own) as one folder that needs no further flag. Memory stays flat.",
        .examples = "  ferret convert ferret-7b-delta --base vicuna-7b --vision-tower clip-vit-large-patch14-336 -o "
                    "ferret-7b\n"
                    "  ferret convert ferret-7b --dtype int8 -o ferret-7b-int8\n",
        .min_args = 1,
        .max_args = 1,
        .groups = groups,
        .n_groups = 1,
    };
    return command_run(&program, argc, argv, &o, convert);
}
