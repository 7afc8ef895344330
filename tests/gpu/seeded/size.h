/* Models of seeded numbers, so that the engine runs where no checkpoint and no library that reads one is. The files of
 * this folder stand in, at link time, for those that read files: config_load, the tokenizer, checkpoints, row readers
 * and oneDNN. `model_dir` names a size below; all else is the product's own code. */
#ifndef TESTS_GPU_SEEDED_SIZE_H
#define TESTS_GPU_SEEDED_SIZE_H

#include "model/config.h"

/* "7b": the published sizes. "small": what a kernel on tensor cores takes, for comparisons with the CPU. "tiny": runs
 * under the emulator in a second. False for another name. out has no tower_dir. */
bool seeded_config(const char *name, struct config *out);

#endif
