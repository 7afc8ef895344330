# The table shows what this run measured, nothing older.
.PHONY: bench-empty
bench: bench-empty
bench-empty:
	@rm -f build/bench/*.json

$(B)/test/bench/jpeg: LDLIBS_ALL += -ljpeg
PROFILED := $(shell sed -n 's/^TIMED.[A-Z]*, \(op_[a-z_]*\),.*/\1/p' tests/bench/profile.c)
$(B)/test/bench/profile: LDLIBS_ALL += $(patsubst %,-Wl$(comma)--wrap=%,$(PROFILED))

.PHONY: bench-table
bench-table: ## write what the last `make bench` and `make bench-peers` measured into README.md
	@tests/bench/table.py build/bench --into README.md

.PHONY: bench-compare
bench-compare: ## two folders of measures beside each other (BEFORE=folder AFTER=build/bench)
	@tests/bench/compare.py $(or $(BEFORE),$(error bench-compare: BEFORE= is the folder of the older measures)) $(or $(AFTER),build/bench)

TEST_PROGRAMS += $(B)/test/bench/layers
TEST_STEPS += bench-smoke
UNSANITIZED_STEPS += bench-smoke
.PHONY: bench-smoke
bench-smoke: $(B)/test/bench/layers
	@tests/bench/smoke.sh $(abspath $<)
