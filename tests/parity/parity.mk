# Golden cases and determinism through the whole engine; the programs read their fixtures from the repository's root.
PARITY_PROGRAMS := $(patsubst %,$(B)/test/parity/%,golden determinism layers)
TEST_PROGRAMS += $(PARITY_PROGRAMS)
TEST_STEPS += parity

.PHONY: parity
parity: $(PARITY_PROGRAMS) ## golden cases in every precision of the CPU, and determinism
	@failed=0; for p in $(PARITY_PROGRAMS); do $$p || failed=1; done; exit $$failed

FULL_STEPS += parity-13b
.PHONY: parity-13b
parity-13b: $(B)/test/parity/layers ## two decoder layers of 13B against the reference in float64 (3 GiB of memory)
	@$< 13b
