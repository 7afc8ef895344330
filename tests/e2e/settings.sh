#!/bin/bash
# docs/config.md has every setting of every program, and no row of a setting that none has.
. "$(dirname "$0")/lib.sh"
{
    for command in annotate submit; do "$FERRET" $command x --print-config || die "$command"; done
    for command in pause resume cancel export convert inspect parity; do "$FERRET" $command x --print-config || die "$command"; done
    for command in up watch status; do "$FERRET" $command --print-config || die "$command"; done
    for program in ferret-broker ferret-worker; do "$BIN/$program" --print-config || die "$program"; done
} | sed -n 's/^  "\([a-z-]*\)": {$/\1/p' | sort -u >"$WORK/known"
[ -s "$WORK/known" ] || die "no settings"
# First cells of the tables of settings; the keys of a checkpoint's config.json are none.
awk '/^# Keys of config.json/ { skip = 1 } /^# ferret-broker/ { skip = 0 } !skip && /^\| `/ && !/`--/' "$ROOT/docs/config.md" |
    cut -d'|' -f2 | grep -o '`[a-z-]*`' | tr -d '`' | sort -u >"$WORK/documented"
want "settings that docs/config.md lacks" "" "$(comm -23 "$WORK/known" "$WORK/documented")"
want "settings in docs/config.md that no program has" "" "$(comm -13 "$WORK/known" "$WORK/documented")"
