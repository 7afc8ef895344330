# The table shows what this run measured, nothing older.
.PHONY: bench-empty
bench: bench-empty
bench-empty:
	@rm -f build/bench/*.json
