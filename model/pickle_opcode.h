/* What the opcodes of a pickle are called, for messages about those that are refused. */
#ifndef MODEL_PICKLE_OPCODE_H
#define MODEL_PICKLE_OPCODE_H

#include <stdint.h>

/* "REDUCE" for 'R': the name in protocols 0 to 5, static; NULL for a byte that is no opcode in any of them. */
const char *pickle_opcode_name(uint8_t opcode);

#endif
