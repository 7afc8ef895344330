# Tests. A folder of tests/ may bring rules of its own in tests/FOLDER/*.mk and add to the lists below:
#   TEST_PROGRAMS   files to build before any test runs
#   TEST_STEPS      targets of `make test`, e2e, lint and unit before the others
#   UNSANITIZED_STEPS  those of TEST_STEPS that do not run under the address sanitizer
#   FULL_STEPS      targets that only `make test-full` runs, after `make test`
#   TSAN_PROGRAMS   sources (tests/.../x.c with a main of their own) that run under the thread sanitizer
#   BENCH_PROGRAMS  programs that write build/bench/*.json
# Every suite ends in Criterion's synthesis line, or prints "PASS name" and "FAIL name": tests/lint/summary.sh adds up.
# What can't run says so and is skipped; REQUIRE_ALL=1 makes that a failure, REQUIRE='simt clang' that of these suites.
required = $(or $(filter 1,$(REQUIRE_ALL)),$(filter $(1),$(REQUIRE)))
TEST_PROGRAMS :=
TEST_STEPS :=
UNSANITIZED_STEPS :=
FULL_STEPS :=
TSAN_PROGRAMS :=
BENCH_PROGRAMS :=

# ---- unit: tests/unit/ROOM/*.c are Criterion suites that link that room and what its arrows allow, one binary a room ----
UNIT_ROOMS := $(filter $(ROOMS),$(notdir $(patsubst %/,%,$(sort $(wildcard tests/unit/*/)))))

define unit_rules
$(B)/test/unit-$(1): $(patsubst %,$(B)/obj/%.o,$(wildcard tests/unit/$(1)/*.c)) $(call link_deps,$(1))
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$(Q)$(CC) $(SAN) -o $$@.$$$$$$$$ $$(filter %.o,$$^) $(call link,$(1)) $(LDLIBS_ALL) -lcriterion && mv -f $$@.$$$$$$$$ $$@
.PHONY: unit-$(1)
unit-$(1): $(B)/test/unit-$(1)
	@echo "unit: $(1)"
	@$$< $(CRITERION_FLAGS)
endef
$(foreach r,$(UNIT_ROOMS),$(eval $(call unit_rules,$(r))))
TEST_PROGRAMS += $(patsubst %,$(B)/test/unit-%,$(UNIT_ROOMS))

.PHONY: unit
unit: $(patsubst %,unit-%,$(UNIT_ROOMS)) ## run the unit tests of every room

# ---- torture: every allocation of a scenario fails once ----
TORTURE_WRAPS := $(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc strdup strndup asprintf)
$(B)/test/torture: $(patsubst %,$(B)/obj/%.o,$(wildcard tests/torture/*.c)) $(call archive,broker) $(call link_deps,cli)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) $(TORTURE_WRAPS) -o $@.$$$$ $(filter %.o,$^) $(call archive,broker) $(call link,cli) $(LDLIBS_ALL) && mv -f $@.$$$$ $@
.PHONY: torture
torture: $(B)/test/torture $(B)/bin/ferret-broker ## every allocation of the libraries fails once
	@$<
TEST_PROGRAMS += $(B)/test/torture
TEST_STEPS += torture

# ---- programs of one file: tests/bench/x.c, tests/stress/x.c; they may use every room but broker ----
$(B)/test/%: $(B)/obj/tests/%.c.o $(call link_deps,cli)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@.$$$$ $< $(call link,cli) $(LDLIBS_ALL) && mv -f $@.$$$$ $@

-include $(sort $(wildcard tests/*/*.mk))

# ---- lint ----
.PHONY: arrows
arrows:
	@printf '%s\n' $(foreach r,$(ROOMS),'$(r): $(NEEDS_$(r))') | tests/lint/arrows.sh

.PHONY: lint
lint: ## arrows between rooms, sizes, banned functions, headers, layout, clang-tidy
	@failed=0; $(MAKE) --no-print-directory arrows || failed=1; \
	CC=$(CC) CFLAGS_FOR_HEADERS='-std=c11 -I. -D_GNU_SOURCE $(PKG_CFLAGS)' tests/lint/style.sh || failed=1; \
	$(MAKE) --no-print-directory tidy || failed=1; exit $$failed

.PHONY: tidy
# How far the analyzer follows a function's paths. Its own measure is 225,000, four times as long: for a day without haste.
TIDY_NODES ?= 50000
tidy: ## clang-tidy over the product's C files; what did not change is not checked again (TIDY_NODES=225000)
	@CFLAGS_FOR_TIDY='-std=c11 -I. -D_GNU_SOURCE $(PKG_CFLAGS)' TIDY_NODES=$(TIDY_NODES) tests/lint/tidy.sh

# ---- e2e: real processes ----
# E2E="queue up" runs these only; else all but the long ones (E2E_LONG).
.PHONY: e2e
e2e: all $(B)/test/chaos-sleeper ## run the programs end to end with Redis, broker and workers of their own
	@BIN=$(abspath $(B)/bin) LATER='$(E2E_LONG)' tests/e2e/run.sh $(E2E)

# ---- bench ----
BENCH_PROGRAMS += $(patsubst tests/%.c,$(B)/test/%,$(sort $(wildcard tests/bench/*.c)))
.PHONY: bench
bench: all $(BENCH_PROGRAMS) ## measure; one JSON a measure under build/bench, and a table
	@tests/bench/run.py build/bench $(BENCH_PROGRAMS)
	@tests/bench/table.py build/bench

# ---- the two tiers ----
# The longest first, so that none of them is waited for alone at the end.
STEPS := e2e lint unit $(filter-out lint unit e2e,$(TEST_STEPS))

# Two steps run side by side: many wait for leases and deadlines most of their time. What a step said is shown at its end;
# with -k all of them run whatever fails.
.PHONY: test
test: ## everything that a change must pass (installs what it needs; under 15 minutes on 2 cores)
	@$(MAKE) --no-print-directory deps LEVEL=test
	@$(MAKE) --no-print-directory simt-headers
	@$(MAKE) --no-print-directory test-built
# The headers that came with the step before are seen by another make.
.PHONY: test-built
test-built:
	@$(MAKE) --no-print-directory -j$(JOBS) all $(TEST_PROGRAMS)
	@$(MAKE) --no-print-directory -j2 --output-sync=target $(STEPS)

# What costs hours under a sanitizer and teaches nothing stays out.
# Of the e2e: plugs pulls them at a pace that instrumented kernels do not keep (300 images of four tasks each), and chaos
# kills the same processes under the thread sanitizer; brim counts on the pace of its workers; devices loads a plugin, which
# the sanitizer's runtime inside the programs does not serve; tuning is the reference's Python. E2E=NAME runs one.
SANITIZED_E2E := up queue refused settings operate guard lost_device stop_loading demo_kill annotate.py
SANITIZED_STEPS := unit $(filter-out lint unit $(UNSANITIZED_STEPS),$(TEST_STEPS))
TSAN_PROGRAMS += $(sort $(wildcard tests/stress/*.c))
.PHONY: sanitized
sanitized: ## units and the other suites under the address and undefined behaviour sanitizers
	@$(MAKE) --no-print-directory -j$(JOBS) SANITIZER=address,undefined sanitized-programs
	@$(MAKE) --no-print-directory -j1 SANITIZER=address,undefined sanitized-run
PLANTED := $(B)/test/sanitize/planted
.PHONY: sanitized-programs sanitized-run
sanitized-programs: all $(TEST_PROGRAMS) $(PLANTED)
sanitized-run: sanitized-programs
	@tests/sanitize/planted.sh $(PLANTED) $(B)/reports/planted leak='Direct leak of 40' overflow=heap-buffer-overflow \
	  undefined='signed integer overflow' confined-overflow=heap-buffer-overflow confined-undefined=confined
	@tests/sanitize/run.sh $(B)/reports $(MAKE) --no-print-directory -k -j1 E2E='$(or $(E2E),$(SANITIZED_E2E))' $(SANITIZED_STEPS) e2e

.PHONY: threads
threads: ## the threaded parts under the thread sanitizer
	@$(MAKE) --no-print-directory -j$(JOBS) SANITIZER=thread threads-programs
	@$(MAKE) --no-print-directory -j1 SANITIZER=thread threads-run
.PHONY: threads-programs threads-run
threads-programs: $(patsubst tests/%.c,$(B)/test/%,$(TSAN_PROGRAMS)) $(PROGRAMS) $(B)/test/chaos-sleeper $(PLANTED)
threads-run: threads-programs
	@tests/sanitize/planted.sh $(PLANTED) $(B)/reports/planted race='data race'
	@tests/sanitize/run.sh $(B)/reports $(MAKE) --no-print-directory -k -j1 threads-steps
# The programs of one file; ferret over the sample corpus; session, link and broker while they are killed and drained.
THREADS_CHAOS_SECONDS ?= 20
THREADS_IMAGES := $(addprefix tests/e2e/corpus/files/,alpha.png landscape.jpg progressive.jpg scan.tiff scene.webp tiny.png)
thread_step = @if $(2); then echo 'PASS thread sanitizer: $(1)'; else echo 'FAIL thread sanitizer: $(1)'; exit 1; fi
THREADS_STEPS := $(patsubst tests/%.c,threads-%,$(TSAN_PROGRAMS)) threads-annotate threads-chaos
.PHONY: threads-steps $(THREADS_STEPS)
threads-steps: $(THREADS_STEPS)
$(patsubst tests/%.c,threads-%,$(TSAN_PROGRAMS)): threads-%: $(B)/test/%
	$(call thread_step,$*,$<)
threads-annotate: $(B)/bin/ferret
	$(call thread_step,annotate,$< annotate $(THREADS_IMAGES) --threads 2 --max-tokens 8 -o /dev/null)
# The driver of the chaos is the plain one: it is not what is tested, and takes up less of the time.
threads-chaos: $(B)/test/chaos-sleeper $(B)/bin/ferret-broker
	@$(MAKE) --no-print-directory SANITIZER= B=build build/test/chaos
	$(call thread_step,chaos,build/test/chaos $(B)/bin/ferret-broker $(B)/test/chaos-sleeper random $(THREADS_CHAOS_SECONDS) $(SEED))

.PHONY: clang
clang: ## everything builds with clang, warnings are errors
	@if command -v clang >/dev/null; then $(MAKE) --no-print-directory -j$(JOBS) CC=clang CXX=clang++ clang-programs && echo 'PASS clang: builds'; \
	elif [ -n '$(call required,clang)' ]; then echo 'FAIL clang: not here'; exit 1; else echo 'SKIP clang: not here'; fi
.PHONY: clang-programs
clang-programs: all $(TEST_PROGRAMS)

.PHONY: test-full
test-full: ## make test, then clang, sanitizers (under 60 minutes on 2 cores)
	@$(MAKE) --no-print-directory deps LEVEL=full
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory -j1 clang sanitized threads $(FULL_STEPS)
