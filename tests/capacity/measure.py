#!/usr/bin/env python3
"""What a job costs Redis, the network and the disk: the numbers that deploy/CAPACITY.md plans with.

    measure.py BIN FLEET [--jobs N] [--record BYTES] [--out FILE]

A Redis with deploy/redis.conf, a broker, `ferret submit` of a manifest, and queue-fleet: sessions as ferret-worker has them
before an engine that answers at once with a record of so many bytes. Each phase is run alone, so that what it adds is its
own: jobs are handed in while nothing is handed out, then worked off, then exported and trimmed."""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLASS = "m/f32"


class Redis:
    """redis-cli on the socket, one question at a time."""

    def __init__(self, folder):
        self.socket = os.path.join(folder, "redis.sock")
        os.mkdir(os.path.join(folder, "redis"))
        self.process = subprocess.Popen(
            ["redis-server", os.path.join(TREE, "deploy/redis.conf"), "--port", "0", "--unixsocket", self.socket, "--dir",
             os.path.join(folder, "redis"), "--maxmemory", "8gb", "--auto-aof-rewrite-percentage", "0", "--logfile",
             os.path.join(folder, "redis.log")])
        wait_until(lambda: self.ask("ping") == "PONG", 20, "Redis does not answer")

    def ask(self, *words):
        return subprocess.run(["redis-cli", "-s", self.socket, *words], capture_output=True, text=True, check=False).stdout.strip()

    def numbers(self):
        text = self.ask("info", "everything")
        found = dict(re.findall(r"^([a-z_]+):([0-9.]+)\r?$", text, re.M))
        scripts = re.search(r"^cmdstat_(?:evalsha|fcall):calls=(\d+),usec=(\d+)", text, re.M)
        return {"memory": float(found["used_memory"]) - float(found.get("mem_clients_normal", 0)), "aof": float(found["aof_current_size"]),
                "cpu_us": 1e6 * (float(found["used_cpu_user"]) + float(found["used_cpu_sys"])),
                "in": float(found["total_net_input_bytes"]), "out": float(found["total_net_output_bytes"]),
                "calls": float(scripts[1]) if scripts else 0, "script_us": float(scripts[2]) if scripts else 0}


def wait_until(true, seconds, what):
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            sys.exit(f"measure.py: {what} after {seconds} s")
        time.sleep(0.05)


class Run:
    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="ferret-capacity.")
        self.children = []
        self.redis = Redis(self.folder)
        self.children.append(self.redis.process)

    def start(self, *command):
        log = open(os.path.join(self.folder, os.path.basename(command[0]) + ".log"), "ab")
        process = subprocess.Popen(command, stdout=log, stderr=log)
        self.children.append(process)
        return process

    def ferret(self, *arguments):
        command = [os.path.join(self.options.bin, "ferret"), *arguments, "--data", self.folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"measure.py: {' '.join(arguments)}: code {done.returncode}: {done.stderr}")
        return done.stdout

    def close(self):
        for process in reversed(self.children):
            process.terminate()
            process.wait()
        shutil.rmtree(self.folder)


def write_manifest(path, n):
    with open(path, "w", encoding="utf-8") as f:
        for i in range(n):
            f.write(json.dumps({"id": f"2026-11-28/{i:012d}", "image": f"photos:archive/{i // 1000:06d}/{i:012d}.jpg"}) + "\n")


def measure(options):
    run = Run(options)
    n = options.jobs
    try:
        run.start(os.path.join(options.bin, "ferret-broker"), "--data", run.folder, "--window", "1000000000", "--lease-ms", "60000",
                  "--result-memory", "0.9")
        wait_until(lambda: "ready" in open(os.path.join(run.folder, "ferret-broker.log"), encoding="utf-8").read(), 20, "no broker")
        run.start(options.fleet, f"ipc://{run.folder}/broker.worker.ipc", CLASS, "16", "32", str(options.record),
                  os.path.join(run.folder, "report"), "end")
        write_manifest(os.path.join(run.folder, "jobs.jsonl"), n)
        wait_until(lambda: len(json.loads(run.ferret("admin", "queue", "--json"))["workers"]) == 16, 20, "no sessions")
        run.ferret("admin", "drain", "--yes")
        phases = {}

        def phase(name, do, done=lambda: True):
            before, begin = run.redis.numbers(), time.monotonic()
            do()
            wait_until(done, 900, f"{name} is not over")
            took, after = time.monotonic() - begin, run.redis.numbers()
            phases[name] = {k: (after[k] - before[k]) / n for k in after}
            phases[name]["seconds"] = took

        phase("submit", lambda: run.ferret("submit", os.path.join(run.folder, "jobs.jsonl"), "--campaign", "c", "--root", "photos=/"))
        phase("work", lambda: run.ferret("admin", "drain", "--off", "--yes"),
              lambda: json.loads(run.ferret("status", "c", "--json"))["done"] == n)
        out = os.path.join(run.folder, "out")
        phase("export", lambda: run.ferret("export", "c", "--follow", "-o", out))
        phase("purge", lambda: run.ferret("admin", "purge", "c", "--yes"))
        return {"jobs": n, "record": options.record, "phases": phases}
    finally:
        run.close()


def table(found):
    print(f"{found['jobs']} jobs, records of {found['record']} bytes; a job:")
    print(f"{'phase':8} {'memory B':>9} {'AOF B':>8} {'to Redis B':>11} {'from B':>8} {'CPU us':>7} {'in scripts us':>14} {'calls':>7} {'jobs/s':>8}")
    for name, p in found["phases"].items():
        print(f"{name:8} {p['memory']:9.0f} {p['aof']:8.0f} {p['in']:11.0f} {p['out']:8.0f} {p['cpu_us']:7.1f} {p['script_us']:14.1f} "
              f"{p['calls']:7.3f} {found['jobs'] / p['seconds']:8.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("bin")
    parser.add_argument("fleet")
    parser.add_argument("--jobs", type=int, default=100000)
    parser.add_argument("--record", type=int, default=1500)
    parser.add_argument("--out")
    options = parser.parse_args()
    found = measure(options)
    table(found)
    if options.out:
        with open(options.out, "w", encoding="utf-8") as f:
            json.dump(found, f, indent=1)


if __name__ == "__main__":
    main()
