/* An engine that refuses every job, for tests of what a session says to its brokers. */
#ifndef TESTS_UNIT_WORKER_IDLE_ENGINE_H
#define TESTS_UNIT_WORKER_IDLE_ENGINE_H

#include "worker/session.h"

extern const struct session_engine idle_engine;

#endif
