# Golden cases and determinism through the whole engine; the programs read their fixtures from the repository's root.
PARITY_PROGRAMS := $(patsubst %,$(B)/test/parity/%,golden images determinism layers)
TEST_PROGRAMS += $(PARITY_PROGRAMS)
TEST_STEPS += parity

.PHONY: parity
parity: $(PARITY_PROGRAMS) ## golden cases in every precision of the CPU, and determinism
	@failed=0; for p in $(PARITY_PROGRAMS); do $$p || failed=1; done; exit $$failed

# The units of the tokenizer, the checkpoints and the prompt over the official code's answers, where they are at hand.
GOLDEN := $(or $(FERRET_GOLDEN),../shared/golden)
TEST_STEPS += parity-units
.PHONY: parity-units
parity-units: $(B)/test/unit-model
	@if [ -d $(GOLDEN) ]; then FERRET_GOLDEN=$(GOLDEN) $< --filter '@(tokenizer|checkpoint|prompt|region|grounding)/*' && \
	  echo 'PASS parity: tokenizer, checkpoints, prompts, regions and answers of the official code'; \
	else echo "SKIP parity: the official code's answers are not here (FERRET_GOLDEN names their folder)"; fi

FULL_STEPS += parity-13b
.PHONY: parity-13b
parity-13b: $(B)/test/parity/layers ## two decoder layers of 13B against the reference in float64 (3 GiB of memory)
	@$< 13b
