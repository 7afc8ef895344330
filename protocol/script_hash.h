/* The name that Redis gives to a script: SHA-1 of its text in hex. Known without asking, so that a user who may run
 * scripts needs no leave to load any. SHA-1 tells scripts apart here and guards nothing. */
#ifndef PROTOCOL_SCRIPT_HASH_H
#define PROTOCOL_SCRIPT_HASH_H

#include <stddef.h>

enum { SCRIPT_HASH_HEX = 41 };
void script_hash(const void *text, size_t len, char hex[SCRIPT_HASH_HEX]); /* lower case, terminated */

#endif
