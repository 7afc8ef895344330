#!/usr/bin/env python3
"""Moves a slot of a Redis Cluster on 127.0.0.1 with all its keys: move_slot.py FROM_PORT TO_PORT SLOT."""
import socket
import sys


class Node:
    def __init__(self, port):
        self.port = port
        self.file = socket.create_connection(('127.0.0.1', port), timeout=60).makefile('rwb')

    def ask(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.file.write(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
        self.file.flush()
        return self.answer()

    def answer(self):
        line = self.file.readline().rstrip(b'\r\n')
        kind, rest = line[:1], line[1:]
        if kind == b'-':
            raise SystemExit('Redis at port %d: %s' % (self.port, rest.decode()))
        if kind == b'$':
            return self.file.read(int(rest) + 2)[:-2]
        if kind == b'*':
            return [self.answer() for _ in range(int(rest))]
        return rest


def move(source, target, slot):
    target.ask('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source.ask('CLUSTER', 'MYID'))
    source.ask('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target.ask('CLUSTER', 'MYID'))
    while keys := source.ask('CLUSTER', 'GETKEYSINSLOT', slot, 10):
        source.ask('MIGRATE', '127.0.0.1', target.port, '', 0, 60000, 'KEYS', *keys)
    name = target.ask('CLUSTER', 'MYID')
    for node in target, source:
        node.ask('CLUSTER', 'SETSLOT', slot, 'NODE', name)


move(Node(int(sys.argv[1])), Node(int(sys.argv[2])), int(sys.argv[3]))
