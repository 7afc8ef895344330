# Sourced by the checks: `sources PATTERN...` lists the tree's own files, in a git checkout and in an unpacked archive
# alike. Untracked files count, ignored ones do not.
sources() {
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r f; do
            [ -f "$f" ] && printf '%s\n' "$f"
        done
    else
        local pattern
        for pattern in "$@"; do
            find . -path ./build -prune -o -type f -name "${pattern##*/}" -print | sed 's|^\./||'
        done
    fi | sort -u
}

# `verdict NAME FILE`: FILE holds one complaint a line; prints them and the line that .ci/run counts.
verdict() {
    if [ -s "$2" ]; then
        cat "$2"
        echo "FAIL $1"
        return 1
    fi
    echo "PASS $1"
}
