# ---- fuzz: every tests/fuzz/x.c but replay.c is a target; its seeds are tests/fuzz/corpus/x ----
FUZZ_TARGETS := $(filter-out replay,$(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*.c))))
FUZZ_ROUNDS ?= 3000
FUZZ_SECONDS ?= 60
$(B)/test/fuzz/%: $(B)/obj/tests/fuzz/%.c.o $(B)/obj/tests/fuzz/replay.c.o $(call link_deps,cli)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $(filter %.o,$^) $(call link,cli) $(LDLIBS_ALL)

TEST_STEPS += fuzz-replay
TEST_PROGRAMS += $(patsubst %,$(B)/test/fuzz/%,$(FUZZ_TARGETS))
.PHONY: fuzz-replay
fuzz-replay: $(patsubst %,$(B)/test/fuzz/%,$(FUZZ_TARGETS)) ## the fuzz targets on their seeds and FUZZ_ROUNDS damaged copies of each
	@failed=0; for t in $(FUZZ_TARGETS); do \
	  if out=$$($(B)/test/fuzz/$$t $(FUZZ_ROUNDS) tests/fuzz/corpus/$$t); then echo "PASS fuzz replay: $$t, $$out"; \
	  else echo "FAIL fuzz replay: $$t"; failed=1; fi; done; exit $$failed

# libFuzzer is clang's; new inputs go to build/fuzz, a crash leaves its input there.
.PHONY: fuzz
fuzz: ## each fuzz target for FUZZ_SECONDS under libFuzzer, address and undefined behaviour sanitizers
	@$(MAKE) --no-print-directory CC=clang CXX=clang++ SANITIZER=address,undefined,fuzzer-no-link B=build/fuzz fuzz-programs
	@failed=0; for t in $(FUZZ_TARGETS); do mkdir -p build/fuzz/found/$$t; \
	  if build/fuzz/test/libfuzzer-$$t -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -artifact_prefix=build/fuzz/$$t- \
	    build/fuzz/found/$$t tests/fuzz/corpus/$$t 2>build/fuzz/$$t.log; then echo "PASS fuzz: $$t, $$(tail -n1 build/fuzz/$$t.log)"; \
	  else tail -n 40 build/fuzz/$$t.log; echo "FAIL fuzz: $$t"; failed=1; fi; done; exit $$failed
.PHONY: fuzz-programs
fuzz-programs: $(patsubst %,$(B)/test/libfuzzer-%,$(FUZZ_TARGETS))
$(B)/test/libfuzzer-%: $(B)/obj/tests/fuzz/%.c.o $(call link_deps,cli)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -fsanitize=fuzzer,address,undefined -o $@ $(filter %.o,$^) $(call link,cli) $(LDLIBS_ALL)
