/* Inside of the Redis in memory: keys and elements (memory_redis.c), for the commands (memory_commands.c). */
#ifndef TESTS_EXPLORE_MEMORY_IMPL_H
#define TESTS_EXPLORE_MEMORY_IMPL_H

#include "tests/explore/memory_redis.h"

void memory_fail(const char *what, struct text name);
struct text memory_copy(struct memory_redis *r, struct text t);
struct text memory_number(struct memory_redis *r, double d);
double memory_as_double(struct text t);
int64_t memory_as_int(struct text t);
size_t memory_place(const struct memory_redis *r, struct text name);
struct value *memory_find_kind(struct memory_redis *r, struct text name, enum value_kind kind);
struct value *memory_make(struct memory_redis *r, struct text name, enum value_kind kind);
void memory_drop(struct memory_redis *r, struct value *v);
struct element *memory_insert(struct memory_redis *r, struct value *v, size_t at, struct element e);
void memory_erase(struct memory_redis *r, struct value *v, size_t at);
size_t memory_index_of(const struct value *v, struct text field);
struct element *memory_add_sorted(struct memory_redis *r, struct value *v, struct element e);

#endif
