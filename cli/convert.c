/* `ferret convert`: any checkpoint layout -> one folder with one safetensors file and the vision tower inside. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/tensor_writer.h"
#include "model/checkpoint.h"
#include "model/config.h"

enum { PATH_BYTES = 4096, CONFIG_MAX_BYTES = 1 << 20, COPY_BYTES = 1 << 16 };

struct convert_options {
    const char *out, *base, *vision_tower;
    int dtype; /* enum write_dtype */
};

static const struct setting convert_rows[] = {
    {.name = "output",
     .type = SETTING_STRING,
     .offset = offsetof(struct convert_options, out),
     .value = "DIR",
     .help = "folder to write; made where it is not there",
     .letter = 'o'},
    {.name = "base",
     .type = SETTING_STRING,
     .offset = offsetof(struct convert_options, base),
     .value = "DIR",
     .help = "checkpoint that CHECKPOINT is a delta over"},
    {.name = "vision-tower",
     .type = SETTING_STRING,
     .offset = offsetof(struct convert_options, vision_tower),
     .value = "DIR",
     .help = "folder of the vision tower; without it CHECKPOINT/vision_tower"},
    {.name = "dtype",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct convert_options, dtype),
     .fallback = "stored",
     .choices = "stored|f32|f16|bf16|int8",
     .help = "precision on disk; int8: linear layers only, one scale a row"},
};

static enum status join(char out[PATH_BYTES], const char *dir, const char *name, struct diag *why)
{
    if (snprintf(out, PATH_BYTES, "%s/%s", dir, name) >= PATH_BYTES)
        return diag_set(why, ST_LIMIT, "%s: path too long", dir);
    return ST_OK;
}

static enum status make_dir(const char *path, struct diag *why)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    return ST_OK;
}

static enum status copy_stream(FILE *from, FILE *to, const char *path, struct diag *why)
{
    char block[COPY_BYTES];
    size_t n;
    while ((n = fread(block, 1, sizeof block, from)) > 0) {
        if (fwrite(block, 1, n, to) != n)
            return diag_set(why, ST_IO, "%s: %s", path, strerror(errno));
    }
    return ferror(from) ? diag_set(why, ST_IO, "%s: could not be read", path) : ST_OK;
}

static enum status copy_file(const char *from_dir, const char *to_dir, const char *name, bool *found, struct diag *why)
{
    char source[PATH_BYTES], target[PATH_BYTES];
    *found = false;
    enum status s = join(source, from_dir, name, why);
    if (s == ST_OK)
        s = join(target, to_dir, name, why);
    if (s != ST_OK)
        return s;
    FILE *from = fopen(source, "rb");
    if (!from)
        return errno == ENOENT ? ST_OK : diag_set(why, ST_IO, "%s: %s", source, strerror(errno));
    *found = true;
    FILE *to = fopen(target, "wb");
    s = to ? copy_stream(from, to, target, why) : diag_set(why, ST_IO, "%s: %s", target, strerror(errno));
    if (to && fclose(to) != 0 && s == ST_OK)
        s = diag_set(why, ST_IO, "%s: %s", target, strerror(errno));
    fclose(from);
    return s;
}

/* Small files beside the weights; a delta may leave some to its base. */
static enum status copy_small_files(const char *dir, const char *base, const char *out, struct diag *why)
{
    static const char *const names[] = {"tokenizer.model",
                                        "added_tokens.json",
                                        "special_tokens_map.json",
                                        "tokenizer_config.json",
                                        "generation_config.json",
                                        "preprocessor_config.json",
                                        "README.md",
                                        "LICENSE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool found;
        enum status s = copy_file(dir, out, names[i], &found, why);
        if (s == ST_OK && !found && base)
            s = copy_file(base, out, names[i], &found, why);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

/* config.json as it is, but for the precision that it states. */
static enum status write_config(const char *dir, const char *out, enum write_dtype dtype, struct diag *why)
{
    static const char *const words[] = {NULL, "float32", "float16", "bfloat16", NULL};
    bool found;
    if (!words[dtype])
        return copy_file(dir, out, "config.json", &found, why);
    char source[PATH_BYTES], target[PATH_BYTES];
    struct json *root = NULL;
    enum status s = join(source, dir, "config.json", why);
    if (s == ST_OK)
        s = join(target, out, "config.json", why);
    if (s == ST_OK)
        s = jsn_load(source, CONFIG_MAX_BYTES, &root, why);
    if (s == ST_OK)
        s = jsn_put(root, "torch_dtype", jsn_new_string(words[dtype]));
    char *text = s == ST_OK ? jsn_text_indented(root, 2) : NULL;
    jsn_free(root);
    if (s != ST_OK || !text)
        return s != ST_OK ? s : ST_NOMEM;
    FILE *f = fopen(target, "w");
    bool ok = f && fprintf(f, "%s\n", text) > 0;
    if (f && fclose(f) != 0)
        ok = false;
    free(text);
    return ok ? ST_OK : diag_set(why, ST_IO, "%s: %s", target, strerror(errno));
}

static enum status write_tower(const struct config *config, const char *out, enum write_dtype dtype, struct diag *why)
{
    char dir[PATH_BYTES], file[PATH_BYTES];
    enum status s = join(dir, out, "vision_tower", why);
    if (s == ST_OK)
        s = join(file, dir, "model.safetensors", why);
    if (s == ST_OK)
        s = make_dir(dir, why);
    bool found;
    if (s == ST_OK)
        s = write_config(config->tower_dir, dir, dtype, why);
    if (s == ST_OK)
        s = copy_file(config->tower_dir, dir, "preprocessor_config.json", &found, why);
    struct checkpoint *tower = NULL;
    if (s == ST_OK)
        s = checkpoint_open(config->tower_dir, NULL, &tower, why);
    if (s == ST_OK)
        s = tensors_write(tower, "vision_model.", dtype, file, why);
    checkpoint_close(tower);
    return s;
}

static enum status same_folder(const char *a, const char *b, struct diag *why)
{
    struct stat sa, sb;
    if (stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino)
        return diag_set(why, ST_INVALID, "--output %s: is the checkpoint itself", b);
    return ST_OK;
}

static enum status convert(const char *dir, const struct convert_options *o, struct diag *why)
{
    if (!o->out)
        return diag_set(why, ST_INVALID, "expected -o DIR");
    enum write_dtype dtype = (enum write_dtype)o->dtype;
    struct config *config = NULL;
    struct checkpoint *model = NULL;
    char file[PATH_BYTES];
    enum status s = same_folder(dir, o->out, why);
    if (s == ST_OK)
        s = config_load(dir, o->vision_tower, &config, why);
    if (s == ST_OK)
        s = checkpoint_open(dir, o->base, &model, why);
    if (s == ST_OK)
        s = make_dir(o->out, why);
    if (s == ST_OK)
        s = join(file, o->out, "model.safetensors", why);
    if (s == ST_OK)
        s = copy_small_files(dir, o->base, o->out, why);
    if (s == ST_OK)
        s = write_tower(config, o->out, dtype, why);
    if (s == ST_OK)
        s = tensors_write(model, "", dtype, file, why);
    /* Last, since a folder without it is no checkpoint. */
    if (s == ST_OK)
        s = write_config(dir, o->out, dtype, why);
    checkpoint_close(model);
    config_free(config);
    return s;
}

int cmd_convert(int argc, char **argv)
{
    struct convert_options o = {0};
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
    struct settings *settings;
    int code;
    if (!settings_start(&program, argc, argv, &o, &settings, &code))
        return code;
    struct diag why = {{0}};
    enum status s = convert(settings_arg(settings, 0), &o, &why);
    settings_free(settings);
    return s == ST_OK ? EXIT_OK : command_fail("convert", s, &why);
}
