/* `ferret inspect`: what a checkpoint says and holds, and the memory that each precision needs. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "model/inspect.h"

struct inspect_flags {
    const char *base, *vision_tower;
    bool json, tensors;
};

static const struct setting inspect_rows[] = {
    {.name = "base",
     .type = SETTING_STRING,
     .offset = offsetof(struct inspect_flags, base),
     .value = "DIR",
     .help = "checkpoint that CHECKPOINT is a delta over"},
    {.name = "vision-tower",
     .type = SETTING_STRING,
     .offset = offsetof(struct inspect_flags, vision_tower),
     .value = "DIR",
     .help = "folder of the vision tower; without it CHECKPOINT/vision_tower"},
    {.name = "tensors",
     .type = SETTING_BOOL,
     .offset = offsetof(struct inspect_flags, tensors),
     .fallback = "true",
     .help = "list every tensor; --tensors=false leaves them out"},
    {.name = "json", .type = SETTING_BOOL, .offset = offsetof(struct inspect_flags, json), .help = "JSON on stdout"},
};

int cmd_inspect(int argc, char **argv)
{
    struct inspect_flags o = {0};
    const struct setting_group groups[] = {
        {.title = "checkpoint", .rows = inspect_rows, .n_rows = sizeof inspect_rows / sizeof *inspect_rows},
    };
    const struct settings_program program = {
        .name = "ferret inspect",
        .args = "CHECKPOINT",
        .summary = "Shows a checkpoint's dims and tensors, and the memory that each precision needs.",
        .examples = "  ferret inspect model/pretrained\n"
                    "  ferret inspect ferret-7b-delta --base vicuna-7b --vision-tower clip --json\n",
        .min_args = 1,
        .max_args = 1,
        .groups = groups,
        .n_groups = 1,
    };
    struct settings *settings;
    int code;
    if (!settings_start(&program, argc, argv, &o, &settings, &code))
        return code;
    const struct inspect_options options = {
        .model_dir = settings_arg(settings, 0),
        .base_dir = o.base,
        .tower_dir = o.vision_tower,
        .json = o.json,
        .tensors = o.tensors,
    };
    char *text = NULL;
    struct diag why = {{0}};
    enum status s = inspect_checkpoint(&options, &text, &why);
    if (s == ST_OK)
        fputs(text, stdout);
    free(text);
    settings_free(settings);
    return s == ST_OK ? EXIT_OK : command_fail("inspect", s, &why);
}
