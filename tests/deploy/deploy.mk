# Operators' files against the tools that read them: what takes seconds and Debian has is in make test; tests/systems the rest.
.PHONY: deploy-check
deploy-check: man ## manual pages, units, rules and boards against mandoc, systemd, promtool
	@tests/deploy/check.sh build/man $(abspath $(B)/bin)
TEST_STEPS += deploy-check
UNSANITIZED_STEPS += deploy-check
