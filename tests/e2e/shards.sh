#!/bin/bash
# A queue of four shards on one Redis, with real programs: what a user sees is one queue. Workers die, results leave by a
# sink, single jobs are cancelled and tried again, a URI is forgotten, a campaign purged, and another number of shards is
# refused.
. "$(dirname "$0")/sleepers.sh"
queue_start 64mb --shards 4
sessions_are() { [ "$("$FERRET" admin queue --json 2>/dev/null | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["workers"]))')" = "$1" ]; }
for i in 1 2 3; do
    sleeper_start model-a/f32 16 2000
    workers[i]=$SLEEPER_PID
done
wait_for 10 sessions_are 3 || die "three workers are not three sessions"
want "shards" 4 "$("$FERRET" admin queue --json | field shards)"
"$BIN/ferret-broker" --redis "$WORK/redis.sock" --client-bind "ipc://$WORK/c" --worker-bind "ipc://$WORK/w" --shards 2 2>"$WORK/other.txt"
want "exit code of a broker for two shards" 4 $?
grep -q "made with 4 shards" "$WORK/other.txt" || die "$(cat "$WORK/other.txt")"

python3 - >"$WORK/in.jsonl" <<'PYTHON'
for i in range(600):
    print('{"id":"%s-%d","image":"local:%d.png"}' % ('bad' if i % 30 == 0 else 'good', i, i))
PYTHON
"$FERRET" submit "$WORK/in.jsonl" --campaign first --json >"$WORK/submit.json" || die "submit"
want "accepted" 600 "$(field accepted <"$WORK/submit.json")"
kill -9 ${workers[1]}
timeout 60 "$FERRET" export first --follow -o "$WORK/out" --json >"$WORK/end.json" 2>/dev/null || die "export: $("$FERRET" status)"
want "records in files" 600 "$(field cursor <"$WORK/end.json")"
want "done" 580 "$(campaign_field first done)"
"$FERRET" submit "$WORK/in.jsonl" --campaign other >/dev/null || die "submit of another"
other_is_over() { [ "$(campaign_field other done)" = 580 ] && [ "$(campaign_field other failed)" = 20 ]; }
wait_for 30 other_is_over || die "other is not over: $("$FERRET" status other)"
"$FERRET" export other -o "$WORK/other" 2>/dev/null || die "export of another"
# As a replica would that took over and had not heard of the last three ends.
[ -n "$(redis RPOP '{q:2}:out:2' 3)" ] || die "nothing to lose"
"$FERRET" export other -o "$WORK/other" 2>"$WORK/other.txt" || die "export behind a loss: $(cat "$WORK/other.txt")"
grep -q 'lost 3 records that are in these files; their images run again and come twice' "$WORK/other.txt" || die "$(cat "$WORK/other.txt")"
"$FERRET" admin purge other --yes >/dev/null || die "purge of another"
want "failed" 20 "$(campaign_field first failed)"
want "completed, told once" 1 "$("$FERRET" admin events --json | grep -c '"event":"completed","campaign":"first"')"
want "a second submit is free" 0 "$("$FERRET" submit "$WORK/in.jsonl" --campaign first --json | field accepted)"

want "dead ones" 20 "$("$FERRET" admin dead first --json | wc -l)"
want "state" paused "$("$FERRET" pause first --json | field state)"
want "tried again" 20 "$("$FERRET" retry first --failed --json | field retried)"
want "waiting" 20 "$(campaign_field first ready)"
want "state of the job" "to be cancelled" "$("$FERRET" cancel first --job bad-90 --yes --json | field state)"
"$FERRET" admin forget local:120.png --yes --json >"$WORK/forget.json" || die "forget"
"$FERRET" resume first
ended() { [ "$(campaign_field first failed)" = 18 ] && [ "$(campaign_field first cancelled)" = 2 ]; }
wait_for 30 ended || die "not as told: $("$FERRET" status first --json)"
want "state of a job" failed "$("$FERRET" show first --job bad-300 --json | field state)"

"$FERRET" admin drain "$("$FERRET" admin queue --json | python3 -c '
import json, sys
print(json.load(sys.stdin)["workers"][0]["session"])')" --json >"$WORK/drain.json" || die "drain"
want "drained" True "$(field drained <"$WORK/drain.json")"
wait_for 20 sessions_are 1 || die "the drained worker stays, or the dead one: $("$FERRET" admin queue)"
"$FERRET" admin fsck --redis "$WORK/redis.sock" >"$WORK/fsck.txt" || die "$(cat "$WORK/fsck.txt")"
want "purged" first "$("$FERRET" admin purge first --yes --json | field purged)"
for name in first other; do "$FERRET" status $name 2>/dev/null && die "$name is still there when its purge has ended"; done
for s in 0 1 2 3; do want "keys of its on shard $s" 0 "$(redis --scan --pattern "{q:$s}:fin:*" | wc -l)"; done
