#!/bin/bash
# docs/config.md has every setting of every program, and no row of a setting that none has.
. "$(dirname "$0")/lib.sh"
{
    for command in annotate submit; do "$FERRET" $command x --print-config || die "$command"; done
    for command in pause resume cancel show retry export report convert inspect parity; do "$FERRET" $command x --print-config || die "$command"; done
    for command in up watch status; do "$FERRET" $command --print-config || die "$command"; done
    for command in queue events dead purge drain forget tenant fsck; do "$FERRET" admin $command --print-config || die "admin $command"; done
    for program in ferret-broker ferret-worker; do "$BIN/$program" --print-config || die "$program"; done
} | sed -n 's/^  "\([a-z0-9-]*\)": {$/\1/p' | sort -u >"$WORK/known"
[ -s "$WORK/known" ] || die "no settings"
# First cells of the tables of settings; the keys of a checkpoint's config.json are none.
awk '/^# Keys of config.json/ { skip = 1 } /^# ferret-broker/ { skip = 0 } !skip && /^\| `/ && !/`--/' "$ROOT/docs/config.md" |
    cut -d'|' -f2 | grep -o '`[a-z0-9-]*`' | tr -d '`' | sort -u >"$WORK/documented"
want "settings that docs/config.md lacks" "" "$(comm -23 "$WORK/known" "$WORK/documented")"
want "settings in docs/config.md that no program has" "" "$(comm -13 "$WORK/known" "$WORK/documented")"

# What can be chosen stands in its setting's row.
for program in "$FERRET annotate" "$FERRET export" "$FERRET up" "$BIN/ferret-broker"; do $program --print-flags; done |
    awk -F'\t' '$1 == "flag" && $4 == "choice" { print $2, $5 }' | sort -u >"$WORK/choices"
while read -r name choices; do
    for choice in ${choices//|/ }; do
        grep "^| [^|]*\`$name\`" "$ROOT/docs/config.md" | grep -q "\`$choice\`" || echo "$name: $choice"
    done
done <"$WORK/choices" >"$WORK/missing"
want "choices that there are" yes "$(grep -q 'format jsonl|' "$WORK/choices" && echo yes)"
want "choices that docs/config.md lacks" "" "$(cat "$WORK/missing")"

# What takes its checkpoint as an argument has no --model beside it, and no use for a variable that others share.
FERRET_MODEL=/no/such "$FERRET" parity x --print-config >/dev/null || die "parity minds FERRET_MODEL"
for command in parity convert inspect; do
    "$FERRET" $command x --model y 2>"$WORK/err"
    want "exit code of ferret $command --model" 2 $?
    grep -q -- '--model: no such flag' "$WORK/err" || die "ferret $command --model says: $(cat "$WORK/err")"
done

# An endpoint with a password is refused before a worker has it on its command line, and nothing shows it.
for command in 'up --workers 1' 'annotate s3://bucket/x.jpg'; do
    FERRET_DATA=$WORK/up FERRET_S3_ENDPOINT=http://me:geheim@127.0.0.1:1 timeout 20 "$FERRET" $command >"$WORK/err" 2>&1
    want "exit code of ferret $command with a password in its endpoint" 2 $?
    grep -q -- '--s3-endpoint: .*http://127.0.0.1:1: expected no user' "$WORK/err" || die "ferret $command says: $(cat "$WORK/err")"
    ! grep -q geheim "$WORK/err" || die "ferret $command shows the password"
done

# Every help has examples of its own program, and every program and command knows its version.
commands() { sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'; }
helps() {
    local name
    echo ferret
    echo 'ferret admin'
    for name in $("$FERRET" --help | commands | grep -v '^admin$'); do echo "ferret $name"; done
    for name in $("$FERRET" admin --help | commands); do echo "ferret admin $name"; done
    echo ferret-broker
    echo ferret-worker
}
want "programs and commands that can be helped with" yes "$([ "$(helps | wc -l)" -gt 20 ] && echo yes)"
while read -r words; do
    # shellcheck disable=SC2086 # words
    text=$($words --help) || die "$words --help fails"
    grep -A1 '^examples:' <<<"$text" | grep -q "^  ${words%% *} " || die "$words --help has no examples"
    # shellcheck disable=SC2086
    version=$($words --version) || die "$words --version fails"
    grep -qxE "ferret[a-z -]* [0-9]+(\.[0-9]+){2}.*" <<<"$version" || die "$words --version says: $version"
done < <(helps)

# Settings are a command's.
for words in 'ferret' 'ferret admin'; do
    # shellcheck disable=SC2086
    $words --print-config >"$WORK/out" 2>"$WORK/err"
    want "exit code of $words --print-config" 2 $?
    grep -q "expected a command in front of its flags: $words COMMAND --print-config" "$WORK/err" ||
        die "$words --print-config says: $(cat "$WORK/err")"
done

# What is a folder can't be stdout.
"$FERRET" convert "$ROOT/model/pretrained" -o - 2>"$WORK/err"
want "exit code of convert to stdout" 2 $?
grep -q 'expected -o DIR' "$WORK/err" || die "convert to stdout says: $(cat "$WORK/err")"
