#!/bin/bash
# The same work through RabbitMQ: a quorum queue, messages confirmed and acknowledged, on loopback and in a folder of its own.
#
#   rabbitmq.sh CLIENT FOLDER JOBS     prints jobs a second, from the first publish to the last acknowledgement
client=$1
folder=$2
jobs=$3
bin=/usr/lib/rabbitmq/bin
[ -x "$client" ] && [ -x $bin/rabbitmq-server ] || exit 1
port=$((20000 + $$ % 20000))
export ERL_CRASH_DUMP=$folder/crash HOME=$folder RABBITMQ_BASE=$folder RABBITMQ_MNESIA_BASE=$folder/mnesia RABBITMQ_LOG_BASE=$folder/log
export RABBITMQ_NODENAME="bench$$@localhost" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=$port
export RABBITMQ_DIST_PORT=$((port + 1)) ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$((port + 2))
export RABBITMQ_ENABLED_PLUGINS_FILE=$folder/plugins RABBITMQ_CONFIG_FILE=$folder/none
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
echo '[].' >"$RABBITMQ_ENABLED_PLUGINS_FILE"
setsid $bin/rabbitmq-server >"$folder/out" 2>&1 &
server=$!
stop() { # the whole group, epmd included: nothing of it is kept
    kill -9 -- -$server 2>/dev/null
    wait $server 2>/dev/null
    for _ in $(seq 30); do # once it has noticed that its node is gone
        epmd -kill >/dev/null 2>&1 && break
        sleep 0.1
    done
}
trap stop EXIT
timeout -k 1 150 $bin/rabbitmqctl -q --timeout 120 await_startup >/dev/null 2>&1 || exit 1
"$client" $port "$jobs"
