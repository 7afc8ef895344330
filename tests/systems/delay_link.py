#!/usr/bin/env python3
"""A link between two network namespaces that delays and loses packets, for kernels without netem: a tun device of one name
in each, and this program in between, which carries each packet over after its delay or drops it. Who is to take this way
has a route into the device; TCP at both ends is the kernel's.

    delay_link.py DEVICE SPACE SPACE --delay-ms 80 --jitter-ms 20 --loss 0.05

Prints "up" once packets pass; told to stop (SIGTERM) it prints what it did, and the devices and their routes are gone."""
import argparse
import ctypes
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import subprocess
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 0x0001, 0x1000, 0x40000000


def enter(fd):
    if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), 'setns')


def open_end(device, space):
    """A tun device that lives in the namespace, and whose packets are read here."""
    with open('/proc/self/ns/net') as home, open('/run/netns/' + space) as there:
        enter(there.fileno())
        try:
            fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', device.encode(), IFF_TUN | IFF_NO_PI))
            subprocess.run(['ip', 'link', 'set', device, 'up'], check=True)
        finally:
            enter(home.fileno())
    return fd


def carry(ends, delay_s, jitter_s, loss, rng):
    """Until SIGTERM. As netem has it: a packet whose jitter is shorter overtakes."""
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    waiting, n, dropped = [], 0, 0
    print('up', flush=True)
    while not stop:
        patience = min(0.2, max(0.0, waiting[0][0] - time.monotonic())) if waiting else 0.2
        for fd in select.select(ends, [], [], patience)[0]:
            packet = os.read(fd, 1 << 16)
            n += 1
            if rng.random() < loss:
                dropped += 1
            else:
                due = time.monotonic() + delay_s + rng.uniform(-jitter_s, jitter_s)
                heapq.heappush(waiting, (due, n, ends[fd == ends[0]], packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, to, packet = heapq.heappop(waiting)
            try:
                os.write(to, packet)
            except OSError:  # its device is down, as a cable may be
                dropped += 1
    print('%d packets, of which %d were lost' % (n, dropped), flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('device')
    p.add_argument('spaces', nargs=2)
    p.add_argument('--delay-ms', type=float, default=80)
    p.add_argument('--jitter-ms', type=float, default=20)
    p.add_argument('--loss', type=float, default=0.05)
    p.add_argument('--seed', type=int, default=1)
    a = p.parse_args()
    ends = [open_end(a.device, space) for space in a.spaces]
    carry(ends, a.delay_ms / 1000, a.jitter_ms / 1000, a.loss, random.Random(a.seed))


if __name__ == '__main__':
    main()
