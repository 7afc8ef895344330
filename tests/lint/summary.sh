#!/bin/bash
# Adds up what the suites said in a log: Criterion's synthesis lines, and lines that begin with PASS or FAIL.
#   summary.sh LOG     prints "N passed, N failed" and exits 1 where something failed or nothing ran
awk '
    { gsub(/\033\[[0-9;]*m/, "") }
    /Synthesis: Tested:/ {
        match($0, /Passing: [0-9]+/); passed += substr($0, RSTART + 9, RLENGTH - 9)
        match($0, /Failing: [0-9]+/); failed += substr($0, RSTART + 9, RLENGTH - 9)
        match($0, /Crashing: [0-9]+/); failed += substr($0, RSTART + 10, RLENGTH - 10)
    }
    /^PASS / { passed++ }
    /^FAIL / { failed++; print }
    /^SKIP / { print }
    /^make(\[[0-9]+\])?: \*\*\* \[/ && !/Makefile:[0-9]+: test/ { broken++; print }
    END {
        if (broken && !failed) failed = broken
        printf "%d passed, %d failed\n", passed, failed
        exit failed > 0 || passed == 0
    }' "$1"
