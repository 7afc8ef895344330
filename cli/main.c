/* `ferret`: finds the subcommand. Everything else stands in one file a command. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/program.h"
#include "base/version.h"
#include "cli/commands.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

static const struct command commands[] = {
    {"annotate", cmd_annotate, "annotate images in this process, one JSON record a line"},
    {"up", cmd_up, "run Redis, a broker and workers on this machine, in the foreground"},
    {"submit", cmd_submit, "put images into a campaign of a running broker"},
    {"watch", cmd_watch, "show a campaign's progress until it ends"},
    {"status", cmd_status, "show a campaign's counters"},
    {"show", cmd_show, "show one image of a campaign: where it is, its record"},
    {"retry", cmd_retry, "try again what failed"},
    {"pause", cmd_pause, "hand out no more of a campaign for now"},
    {"resume", cmd_resume, "go on with a paused campaign"},
    {"cancel", cmd_cancel, "give a campaign, or one image of it, up for good"},
    {"export", cmd_export, "write a campaign's results: records, a gallery, COCO and others"},
    {"report", cmd_report, "show what a campaign's results come to, by day and by worker"},
    {"admin", cmd_admin, "operate the queue: queue, events, dead, purge, drain, forget, tenant, fsck, keygen"},
    {"convert", cmd_convert, "turn any checkpoint layout into one folder"},
    {"inspect", cmd_inspect, "show what a checkpoint holds and needs"},
    {"parity", cmd_parity, "run golden cases through the engine"},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *out)
{
    fputs("usage: ferret COMMAND [FLAGS] [ARGUMENTS]\n\n"
          "Annotates images with the Ferret model: captions, answers and phrases with boxes.\n\ncommands:\n",
          out);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\nexamples:\n"
          "  ferret annotate photos/ -o captions.jsonl\n"
          "  ferret up --data /var/tmp/ferret &\n"
          "  ferret submit --data /var/tmp/ferret photos/ --task locate --phrase 'a red ball'\n"
          "\n`ferret COMMAND --help` tells more.\n",
          out);
}

/* As settings do it for a command's flags. */
static void print_commands(void)
{
    for (int i = 0; i < N_COMMANDS; i++)
        printf("command\t%s\t%s\n", commands[i].name, commands[i].summary);
}

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0) {
        printf("ferret %s\n", FERRETRY_VERSION);
        return EXIT_OK;
    }
    if (strcmp(name, "--print-flags") == 0) {
        print_commands();
        return EXIT_OK;
    }
    bool help = strcmp(name, "help") == 0;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (help && argc == 2)) {
        usage(stdout);
        return EXIT_OK;
    }
    const struct command *command = find_command(help ? argv[2] : name);
    if (!command) {
        if (*name)
            command_unknown("ferret", help ? argv[2] : name);
        else
            usage(stderr);
        return EXIT_USAGE;
    }
    if (help) {
        char *const args[] = {argv[2], (char[]){"--help"}, NULL};
        return command->run(2, (char **)args);
    }
    return command->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    return program_end("ferret", run(argc, argv));
}
