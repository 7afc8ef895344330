#!/usr/bin/env python3
"""The same work through Celery and Redis: tasks acknowledged late, results of 1 KB, Redis with AOF always.

    celery_jobs.py SOCKET JOBS     prints images a second, from the first submit to the last result
"""
import os
import subprocess
import sys
import time

from celery import Celery

SOCKET = os.environ.get('CELERY_JOBS_SOCKET') or sys.argv[1]
app = Celery('celery_jobs', broker='redis+socket://' + SOCKET, backend='redis+socket://' + SOCKET)
app.conf.task_acks_late = True
app.conf.task_reject_on_worker_lost = True


@app.task
def annotate(body):
    return 'x' * 1024


def main(jobs):
    environment = dict(os.environ, CELERY_JOBS_SOCKET=SOCKET, PYTHONPATH=os.path.dirname(os.path.abspath(__file__)))
    worker = subprocess.Popen([sys.executable, '-m', 'celery', '-A', 'celery_jobs', 'worker', '-c', '2', '-l', 'ERROR'],
                              env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        sys.modules['celery_jobs'] = sys.modules['__main__']
        annotate.apply_async(('warm',)).get(timeout=120)
        begin = time.monotonic()
        waiting = [annotate.apply_async(('x' * 512,)) for _ in range(jobs)]
        for result in waiting:
            result.get(timeout=300)
        print(jobs / (time.monotonic() - begin))
    finally:
        worker.terminate()
        worker.wait()


if __name__ == '__main__':
    main(int(sys.argv[2]))
