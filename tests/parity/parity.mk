# Golden cases and determinism through the whole engine; the programs read their fixtures from the repository's root.
PARITY_PROGRAMS := $(B)/test/parity/golden $(B)/test/parity/determinism
TEST_PROGRAMS += $(PARITY_PROGRAMS)
TEST_STEPS += parity

.PHONY: parity
parity: $(PARITY_PROGRAMS) ## golden cases in every precision of the CPU, and determinism
	@failed=0; for p in $(PARITY_PROGRAMS); do $$p || failed=1; done; exit $$failed
