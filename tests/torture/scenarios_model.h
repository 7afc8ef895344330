/* Scenarios that read files or run a model; rows of the table in scenarios.c. */
#ifndef TESTS_TORTURE_SCENARIOS_MODEL_H
#define TESTS_TORTURE_SCENARIOS_MODEL_H

#include "base/status.h"

enum status answer_round(void);
enum status inputs_round(void);
enum status read_round(void);
enum status cache_round(void);
enum status overlay_round(void);
enum status preprocess_round(void);
enum status engine_round(void);

#endif
