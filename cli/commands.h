/* The subcommands of `ferret`, one file each, and the flags that several of them share.
 *
 * A command gets argv with its own name first ("annotate", ...) and returns an exit code (base/program.h). Its flags
 * are groups of setting rows (base/settings.h): a command embeds the structs below in its own and lists the groups. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "base/json.h"
#include "base/program.h"
#include "base/settings.h"
#include "base/status.h"
#include "protocol/client.h"
#include "protocol/job.h"
#include "protocol/key_file.h"
#include "worker/model_flags.h" /* --model ... --isa, and struct engine_choice for what they come to */

int cmd_admin(int argc, char **argv);
int cmd_annotate(int argc, char **argv);
int cmd_cancel(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_parity(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_retry(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_submit(int argc, char **argv);
int cmd_up(int argc, char **argv);
int cmd_watch(int argc, char **argv);

/* ---- flags of annotate and submit: what to do with each image --------------------------------------------------- */

struct task_flags {
    int task; /* enum task_kind */
    struct setting_list phrases, boxes, points;
    const char *question;
    int64_t max_tokens;
    double temperature, top_p;
    int64_t seed;
    const char *compat; /* NULL or "ml-ferret" */
    struct setting_list images;
};
struct setting_group task_flags_group(size_t at);
/* The job that a PATH stands for, or a manifest line falls back to: one task (locate: all phrases), regions, policy;
 * key, image and campaign are left NULL. The caller owns *out: job_free. */
MUST_CHECK enum status task_flags_job(const struct task_flags *f, struct job **out, struct diag *why);
/* ST_INVALID: the task needs regions or phrases, and a PATH is no manifest that might bring them. */
MUST_CHECK enum status task_flags_check_paths(const struct task_flags *f, const char *const *paths, int n,
                                              struct diag *why);

/* ---- flags of what talks to a broker ---------------------------------------------------------------------------- */

#define DEFAULT_DATA_DIR "ferret-data"
struct link_flags {
    const char *data, *broker;
    struct key_flags keys; /* a group of its own: key_flags_group */
};
struct setting_group link_flags_group(size_t at);
/* Connects to --broker, else to the `ferret up` on --data. ST_CLOSED: nothing runs there, and what to start. The caller
 * owns *out: client_close. */
MUST_CHECK enum status link_flags_open(const struct link_flags *f, struct client **out, struct diag *why);

/* ---- a command's run --------------------------------------------------------------------------------------------- */

/* What a command does with its flags. *exit_code is what ST_OK ends with, EXIT_OK where it is left alone. ST_CANCELLED
 * without a sentence ends quietly: the reader of stdout left. */
typedef enum status (*command_fn)(void *options, const struct settings *settings, int *exit_code, struct diag *why);
/* Reads the flags into *options, which the caller has zeroed, runs, and says what went wrong in one line on stderr.
 * Returns the exit code (base/program.h). */
int command_run(const struct settings_program *program, int argc, char *const *argv, void *options, command_fn run);
/* Says on stderr what is wrong with the word where a command of `program` must stand. */
void command_unknown(const char *program, const char *word);

/* ---- people ----------------------------------------------------------------------------------------------------- */

/* The object as one line on stdout where s is ST_OK; frees it in any case. Returns s, or
 * ST_NOMEM. */
MUST_CHECK enum status print_object(struct json *o, enum status s);
/* Asks on a terminal, "[y/N]"; false without one. */
bool confirm(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
