/* Scenarios beside those of scenarios.c, which has the table: of files and models, of the broker, of a worker, of a
 * queue that runs. */
#ifndef TESTS_TORTURE_SCENARIOS_H
#define TESTS_TORTURE_SCENARIOS_H

#include "base/status.h"
#include "protocol/job.h"

/* A manifest line -> job (scenarios_worker.c). */
enum status job_of_line(const char *line, struct job **out);

enum status answer_round(void);
enum status inputs_round(void);
enum status read_round(void);
enum status cache_round(void);
enum status overlay_round(void);
enum status preprocess_round(void);
enum status engine_round(void);

enum status dispatch_round(void);
enum status board_round(void);
enum status web_round(void);
enum status trace_round(void);

enum status link_round(void);
enum status fetch_round(void);
enum status pool_round(void);
enum status plan_round(void);
enum status copy_round(void);
enum status twins_round(void);
enum status record_round(void);
enum status pipeline_round(void);

enum status store_round(void);
enum status client_round(void);
enum status session_round(void);

#endif
