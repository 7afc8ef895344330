/* Parts of `ferret admin` that have a file of their own. */
#ifndef CLI_ADMIN_H
#define CLI_ADMIN_H

#define ADMIN_FSCK_SUMMARY "Checks, on Redis itself, that every job is in exactly one place and all counters are right."
int admin_fsck(int argc, char **argv);

#define ADMIN_KEYGEN_SUMMARY "Makes keys: a pair a role, the brokers' allow-list, users of Redis with their passwords."
int admin_keygen(int argc, char **argv);

#endif
