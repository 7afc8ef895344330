#!/bin/bash
# A list of addresses on a real web server (nginx): HTTP/1.1 and HTTP/2, redirects, limits on how fast it may be asked,
# answers that are no image, and addresses that are none of its business; in one process and through the queue.
. "$(dirname "$0")/lib.sh"
nginx=$(PATH=$PATH:/usr/sbin:$ROOT/build/test/nginx/usr/sbin command -v nginx) || { echo "nginx is not installed"; exit 77; }

mkdir -p "$WORK/site/pictures" "$WORK/temporary"
cp "$ROOT/tests/e2e/corpus/files/tiny.png" "$ROOT/tests/e2e/corpus/files/scene.webp" "$WORK/site/pictures"
cp "$ROOT/tests/e2e/corpus/files/tiny.png" "$WORK/site/pictures/with space.png"
head -c 300 "$ROOT/tests/e2e/corpus/files/landscape.jpg" >"$WORK/site/pictures/cut.jpg"
echo '<html>Not here any more</html>' >"$WORK/site/pictures/page.jpg"
(cd "$WORK/site" && tar cf shard.tar -C pictures tiny.png scene.webp)
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2>/dev/null || die "no certificate"
read -r plain secure elsewhere < <(python3 -c 'import socket
all = [socket.socket() for _ in range(3)]
for s in all: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in all))')
cat >"$WORK/nginx.conf" <<CONF
daemon off;
$([ "$(id -u)" -ne 0 ] || echo 'user root;')
worker_processes 1;
pid $WORK/nginx.pid;
error_log $WORK/error.log;
events { worker_connections 256; }
http {
    access_log $WORK/access.log combined;
    log_format protocol '\$server_protocol \$connection \$status \$request_uri';
    client_body_temp_path $WORK/temporary; proxy_temp_path $WORK/temporary; fastcgi_temp_path $WORK/temporary;
    uwsgi_temp_path $WORK/temporary; scgi_temp_path $WORK/temporary;
    types { image/png png; image/webp webp; image/jpeg jpg; }
    limit_req_zone \$server_port zone=slow:1m rate=40r/s;
    server {
        listen 127.0.0.1:$plain;
        listen 127.0.0.1:$secure ssl http2;
        ssl_certificate $WORK/cert.pem;
        ssl_certificate_key $WORK/key.pem;
        access_log $WORK/protocol.log protocol;
        root $WORK/site;
        location = /moved.png { return 301 /pictures/tiny.png; }
        location = /round { return 302 /round; }
        location = /away { return 302 http://127.0.0.1:$elsewhere/; }
        location = /passwd { return 302 file:///etc/passwd; }
        location = /secret.png { return 403; }
        location = /broken.png { return 500; }
        location = /private.png { add_header X-Robots-Tag "noai, noimageai" always; try_files /pictures/tiny.png =404; }
        location /limited/ { limit_req zone=slow; limit_req_status 429; rewrite ^ /pictures/tiny.png break; }
    }
}
CONF
"$nginx" -p "$WORK" -c "$WORK/nginx.conf" 2>"$WORK/nginx.err" &
NGINX=$!
at_end() { kill "$NGINX" 2>/dev/null; wait "$NGINX" 2>/dev/null; }
answers() { curl -s -o /dev/null "http://127.0.0.1:$plain/pictures/tiny.png" || python3 -c "
import urllib.request; urllib.request.urlopen('http://127.0.0.1:$plain/pictures/tiny.png')"; }
wait_for 20 answers || die "nginx does not answer: $(cat "$WORK/nginx.err" "$WORK/error.log")"

site=http://127.0.0.1:$plain
read -r offset length < <(python3 -c 'import sys, tarfile
m = tarfile.open(sys.argv[1]).getmember("scene.webp"); print(m.offset_data, m.size)' "$WORK/site/shard.tar")
line() { printf '{"id": "%s", "image": "%s"}\n' "$1" "$2"; }
{
    line plain "$site/pictures/tiny.png"
    line space "$site/pictures/with%20space.png"
    line moved "$site/moved.png?query=1"
    line member "$site/shard.tar#scene.webp@$offset+$length"
    line page "$site/pictures/page.jpg"
    line cut "$site/pictures/cut.jpg"
    line gone "$site/pictures/gone.png"
    line round "$site/round"
    line away "$site/away"
    line passwd "$site/passwd"
    line port "http://127.0.0.1:$elsewhere/a.png"
    line name "http://no-such-host.invalid/a.png"
    line noai "$site/private.png"
    line secret "$site/secret.png"
    line broken "$site/broken.png"
    for i in $(seq 12); do line "secure $i" "https://localhost:$secure/pictures/tiny.png?$i"; done
    for i in $(seq 8); do line "limited $i" "$site/limited/$i"; done
} >"$WORK/list.jsonl"
cat >"$WORK/expected.json" <<'JSON'
{"plain": "ok", "space": "ok", "moved": "ok", "member": "ok", "page": "not_an_image", "cut": "truncated corrupt", "gone": "missing_file",
 "round": "http_status", "away": "blocked_address", "passwd": "bad_uri",
 "port": "blocked_address", "name": "unknown_host no_name_service", "noai": "not_allowed", "secret": "denied", "broken": "http_server"}
JSON
compare() {
    python3 - "$1" "$WORK/expected.json" <<'PYTHON' || die "records are not as they should be"
import json, sys
expected = json.load(open(sys.argv[2]))
found = {}
for line in open(sys.argv[1]):
    record = json.loads(line)
    assert record['id'] not in found, record['id']
    found[record['id']] = record.get('error', {}).get('code') if record['status'] == 'failed' else 'ok'
wrong = {k: v for k, v in found.items() if v not in expected.get(k, 'ok').split()}
assert not wrong and len(found) == len(expected) + 20, (wrong, len(found))
PYTHON
}

flags=(--allow-private-hosts --allow-port "$plain" --allow-port "$secure" --ca-file "$WORK/cert.pem" --fetch-retries 3)
"$FERRET" annotate - --max-tokens 2 "${flags[@]}" --connect-timeout 0.5 <"$WORK/list.jsonl" >"$WORK/records.jsonl" 2>"$WORK/err"
want "exit code of annotate" 1 $?
compare "$WORK/records.jsonl"
want "requests over HTTP/2" 12 "$(grep -c '^HTTP/2.0 .*tiny.png' "$WORK/protocol.log")"
want "connections of them" 1 "$(grep '^HTTP/2.0 ' "$WORK/protocol.log" | cut -d' ' -f2 | sort -u | wc -l)"
grep -q ' 429 /limited/' "$WORK/protocol.log" || die "nginx has limited nothing"

# Without a word from the operator none of it is asked for.
asked=$(wc -l <"$WORK/protocol.log")
"$FERRET" annotate - --max-tokens 2 --allow-port "$plain" --allow-port "$secure" <"$WORK/list.jsonl" >"$WORK/refused.jsonl" 2>"$WORK/err"
want "exit code of annotate" 1 $?
want "records without an image" "$(wc -l <"$WORK/list.jsonl")" "$(grep -c '"status":"failed"' "$WORK/refused.jsonl")"
want "requests in the log" "$asked" "$(wc -l <"$WORK/protocol.log")"

# The same through a queue; `up` hands the settings on to its worker.
up_start "$WORK/data" "${flags[@]}" --connect-timeout 0.5
"$FERRET" submit "$WORK/list.jsonl" --max-tokens 2 --retries 0 >"$WORK/name" 2>"$WORK/err" || die "submit: $(cat "$WORK/err")"
campaign=$(cat "$WORK/name")
timeout 120 "$FERRET" watch "$campaign" 2>"$WORK/watch.log"
want "exit code of watch" 1 $?
"$FERRET" export "$campaign" -o - >"$WORK/queued.jsonl" || die "export failed"
compare "$WORK/queued.jsonl"
