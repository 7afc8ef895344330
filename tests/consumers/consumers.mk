# What is exported, read by the tools that it is made for: their own packages, in an environment under build/.
CONSUMERS := build/consumers/venv
CONSUMERS_PACKAGES := pycocotools==2.0.11 webdataset==1.0.2 jsonschema==4.26.0
$(CONSUMERS)/.ready: tests/consumers/consumers.mk
	@rm -rf $(CONSUMERS) && mkdir -p $(CONSUMERS)
	@python3 -m venv $(CONSUMERS) && $(CONSUMERS)/bin/pip -q install --disable-pip-version-check $(CONSUMERS_PACKAGES) && touch $@

.PHONY: consumers
consumers: all ## exports read by pycocotools, webdataset, jsonschema and an XML parser
	@if $(MAKE) --no-print-directory $(CONSUMERS)/.ready >build/consumers.log 2>&1; then \
	  BIN=$(abspath $(B)/bin) PYTHONDONTWRITEBYTECODE=1 $(CONSUMERS)/bin/python tests/consumers/check.py; \
	elif [ "$(REQUIRE_ALL)" = 1 ]; then tail -n 3 build/consumers.log; echo 'FAIL consumers: the packages could not be installed'; exit 1; \
	else echo 'SKIP consumers: the packages could not be installed (build/consumers.log)'; fi
FULL_STEPS += consumers
