#!/bin/bash
# Entries of deploy/RUNBOOK.md that need nothing but a `ferret up`, with a worker that really dies: an image that kills
# whoever asks for it ends as poison, alone, and can be tried again once its cause is gone; a campaign that must not go on
# is paused, goes on, is cancelled, and its name is free after a purge. Minutes: leases lapse in their own time.
. "$(dirname "$0")/../e2e/lib.sh"
command -v ss >/dev/null || { echo "needs ss (package iproute2)"; exit 77; }
files=$ROOT/tests/e2e/corpus/files
server=
at_end() { [ -z "$server" ] || kill "$server"; }
python3 - "$files" "$WORK" <<'PYTHON' &
import http.server, os, pathlib, re, signal, subprocess, sys
work = pathlib.Path(sys.argv[2])

class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves pictures. Who asks for poison.jpg while the file `deadly` is there is killed."""
    def do_GET(self):
        if self.path == '/poison.jpg':
            self.path = '/tiny.png'
            if (work / 'deadly').exists():
                peer = subprocess.run(['ss', '-tnpH', 'sport', '=', ':%d' % self.client_address[1]], capture_output=True, text=True).stdout
                for pid in set(re.findall(r'pid=(\d+)', peer)):
                    os.kill(int(pid), signal.SIGKILL)
                    with open(work / 'killed', 'a') as f:
                        f.write(pid + '\n')
                return
        super().do_GET()

    def log_message(self, *_):
        pass

os.chdir(sys.argv[1])
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
(work / 'port').write_text(str(server.server_port))
server.serve_forever()
PYTHON
server=$!
wait_for 10 test -s "$WORK/port" || die "no web server"
port=$(cat "$WORK/port")
python3 - "$files" "$port" >"$WORK/poisoned.jsonl" <<'PYTHON'
import json, os, sys
names = [n for n in sorted(os.listdir(sys.argv[1])) if n != 'broken.jpg']
for turn in range(3):
    for name in names:
        print(json.dumps({'id': '%d/%s' % (turn, name), 'image': 'photos:' + name}))
    if turn == 1:
        print(json.dumps({'id': 'bad', 'image': 'http://127.0.0.1:%s/poison.jpg' % sys.argv[2]}))
PYTHON
images=$(wc -l <"$WORK/poisoned.jsonl")

# ---- A job kills its worker ----
touch "$WORK/deadly" "$WORK/killed"
allow=(--allow-private-hosts --allow-port "$port")
up_start "$WORK/data" --workers 2 --root photos="$files" "${allow[@]}"
begin=$SECONDS
ferret submit "$WORK/poisoned.jsonl" --campaign poisoned --root photos="$files" "${allow[@]}" || die "submit"
suspected=0
is_over() {
    ferret admin queue | grep -q '^groups of suspects  *[1-9]' && suspected=1
    [ "$(campaign_field poisoned completed)" = True ]
}
wait_for 400 is_over || die "not over: $(ferret status poisoned; ferret show poisoned --job bad)"
echo "measured: runbook poison: $(wc -l <"$WORK/killed") workers died and $((SECONDS - begin)) s passed before one of $images images was told from the others; groups of suspects were seen waiting: $suspected"
grep -q 'up: worker-[01] was killed by signal 9' "$WORK/up.log" || die "up does not say that a worker was killed"
want "done and failed" "$((images - 1)) 1" "$(campaign_field poisoned done) $(campaign_field poisoned failed)"
want "what admin dead says" "bad poison" "$(ferret admin dead poisoned --json | python3 -c 'import json, sys
for line in sys.stdin:
    row = json.loads(line)
    print(row["id"], row["code"])')"
want "its state" failed "$(ferret show poisoned --job bad | field state)"
rm "$WORK/deadly"
ferret retry poisoned --failed || die "retry"
is_done() { [ "$(campaign_field poisoned done)" = "$images" ]; }
wait_for 60 is_done || die "not done once nothing kills any more: $(ferret status poisoned)"

# ---- A campaign must not go on ----
python3 - "$WORK" >"$WORK/many.jsonl" <<'PYTHON'
import json
for i in range(3000):
    print(json.dumps({'id': 'i%04d' % i, 'image': 'photos:tiny.png'}))
PYTHON
ferret submit "$WORK/many.jsonl" --campaign wrong --root photos="$files" || die "submit"
ferret pause wrong || die "pause"
stands_still() { [ "$(campaign_field wrong running)" = 0 ]; }
wait_for 60 stands_still || die "what runs does not end: $(ferret status wrong)"
[ "$(campaign_field wrong ready)" -gt 0 ] || die "nothing is left to be paused: $(ferret status wrong)"
ferret status wrong | grep -q paused || die "status does not say that it is paused: $(ferret status wrong)"
before=$(campaign_field wrong done)
ferret resume wrong || die "resume"
goes_on() { [ "$(campaign_field wrong done)" -gt "$before" ]; }
wait_for 60 goes_on || die "nothing ends after a resume: $(ferret status wrong)"
ferret cancel wrong </dev/null 2>/dev/null
want "exit code of a cancel that nobody confirms" 4 $?
ferret cancel wrong --yes || die "cancel"
has_ended() { [ "$(campaign_field wrong completed)" = True ]; }
wait_for 30 has_ended || die "a cancelled campaign does not end: $(ferret status wrong)"
want "done and cancelled" 3000 $(($(campaign_field wrong done) + $(campaign_field wrong cancelled)))
[ "$(campaign_field wrong cancelled)" -gt 0 ] || die "nothing was cancelled"
want "records of what was done before" "$(campaign_field wrong done)" "$(ferret export wrong -o - | wc -l)"
for words in "resume wrong" "retry wrong --failed" "submit $WORK/many.jsonl --campaign wrong --root photos=$files"; do
    ferret $words >/dev/null 2>"$WORK/err"
    want "exit code of $words after a cancel" 4 $?
done
ferret admin purge wrong --yes || die "purge"
ferret submit "$files/tiny.png" --campaign wrong --root photos="$files" || die "the name is not free after a purge"
wait_for 60 has_ended || die "the new campaign does not end"
want "images of the new campaign" 1 "$(campaign_field wrong total)"
up_stop
want "exit code of ferret up" 0 "$UP_CODE"
