#!/bin/bash
# Runs tests/browser/test_*.py where a Chromium, its driver and python3-selenium are here.
set -u
cd "$(dirname "$0")/../.." || exit 1
python=${BROWSER_PYTHON:-/usr/bin/python3}
missing=
command -v chromium >/dev/null || missing+=" chromium"
command -v chromedriver >/dev/null || missing+=" chromium-driver"
"$python" -c 'import selenium' 2>/dev/null || missing+=" python3-selenium"
if [ -n "$missing" ]; then
    if [ "${REQUIRE_ALL:-}" = 1 ]; then
        echo "FAIL browser: not here:$missing"
        exit 1
    fi
    echo "SKIP browser: not here:$missing"
    exit 0
fi
failed=0
names=("$@")
[ ${#names[@]} -gt 0 ] || names=($(cd tests/browser && ls test_*.py | sed 's/^test_//; s/\.py$//'))
for name in "${names[@]}"; do
    PYTHONDONTWRITEBYTECODE=1 timeout 300 "$python" "tests/browser/test_$name.py" || failed=1
done
exit $failed
