# Pages in a real Chromium, without a screen. BROWSER="gallery" runs these only; SHOTS=DIR keeps pictures of what was seen.
BROWSER_PYTHON ?= /usr/bin/python3
.PHONY: browser
browser: all ## the gallery in a headless Chromium: boxes to a pixel, filters, keys, hostile records
	@BIN=$(abspath $(B)/bin) tests/browser/run.sh $(BROWSER)
FULL_STEPS += browser
UNSANITIZED_STEPS += browser
