#!/usr/bin/env python3
"""Runs the bench programs: `run.py FOLDER PROGRAM...`, each as `PROGRAM FOLDER`; and leaves FOLDER/machine.json, which says
what share of the processor other programs took meanwhile: figures of a busy machine are low, their ratios less so."""
import json
import os
import resource
import subprocess
import sys


def busy():
    """Seconds that the processors have worked since they started, all programs together."""
    with open('/proc/stat') as f:
        user, nice, system, _, _, irq, soft, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf('SC_CLK_TCK')


def own():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(folder, *programs):
    os.makedirs(folder, exist_ok=True)
    all_before, own_before, start = busy(), own(), os.times().elapsed
    failed = 0
    for program in programs:
        print(f'bench: {os.path.basename(program)}', file=sys.stderr, flush=True)
        failed |= subprocess.run([program, folder]).returncode != 0
    spent = (os.times().elapsed - start) * os.cpu_count()
    others = max(0.0, busy() - all_before - (own() - own_before)) / spent if spent else 0.0
    with open(os.path.join(folder, 'machine.json'), 'w') as f:
        json.dump({'others': round(others, 3)}, f)
    return failed


sys.exit(main(*sys.argv[1:]))
