"""Writes a folder of hostile files: images of every format that is read, each damaged in a way that is drawn, and files that are
something else. The same seed gives the same files.

    python3 tests/e2e/hostile/make_many.py FOLDER COUNT SEED
"""
import os
import pathlib
import random
import struct
import sys
import zlib

HERE = pathlib.Path(__file__).resolve().parent
SAMPLES = [HERE.parent / 'corpus/files' / name for name in
           ('alpha.png', 'gray 16 bit.png', 'indexed.gif', 'landscape.jpg', 'palette.png', 'progressive.jpg', 'scan.tiff', 'scene.webp',
            'upright by EXIF.jpg')]
SAMPLES += sorted((HERE.parents[1] / 'unit/media/samples').iterdir())


def bitmap():
    """Four rows of run lengths."""
    palette = bytes(range(64))
    runs = b'\x08\x01\x00\x00' * 8 + b'\x00\x01'
    header = struct.pack('<IiiHHIIiiII', 40, 8, 8, 1, 8, 1, len(runs), 0, 0, 16, 0)
    return b'BM' + struct.pack('<IHHI', 0, 0, 0, 54 + len(palette)) + header + palette + runs


def png(width, height, rows):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows, 1)) + chunk(b'IEND', b'')


def entities():
    lines = ['<!DOCTYPE x [<!ENTITY a0 "ha">'] + ['<!ENTITY a%d "%s">' % (i, ('&a%d;' % (i - 1)) * 10) for i in range(1, 12)]
    return ('<?xml version="1.0"?>%s]><svg xmlns="http://www.w3.org/2000/svg"><text>&a11;</text></svg>' % ''.join(lines)).encode()


# What other readers of images have run, fetched or unpacked.
OTHERS = [
    b'', b'\0', b'\xFF\xD8\xFF', b'\x89PNG\r\n\x1a\n', b'GIF89a', b'RIFF\xFF\xFF\xFF\xFFWEBPVP8 ', b'II*\0\xFF\xFF\xFF\xFF',
    b'\0\0\0\x18ftypavif\0\0\0\0avifmif1' + b'\xFF' * 64, b'\xFF\x0A' + b'\0' * 64, b'BM' + b'\xFF' * 60,
    b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="file:///etc/passwd"/></svg>',
    entities(), b'push graphic-context\nviewbox 0 0 9 9\nfill \'url(https://127.0.0.1/x.jpg"|ls "-la)\'\npop graphic-context\n',
    b'<?xml version="1.0"?><image><read filename="/etc/passwd"/><write filename="/tmp/x"/></image>',
    b'%!PS\n(/etc/passwd) (r) file\n', b'%PDF-1.7\n', b'PK\3\4' + b'\0' * 40, b'\x1F\x8B\x08' + b'\0' * 40, b'#!/bin/sh\nexit 0\n',
    b'P6\n99999 99999\n255\n', b'#?RADIANCE\n', b'\0\0\1\0\1\0', b'8BPS' + b'\0' * 40, b'v/1\1' + b'\0' * 40, b'SIMPLE  =' + b' ' * 80,
    png(60000, 60000, b'\0' * 100_000), png(2**31 - 1, 2**31 - 1, b''), png(9000, 9000, b'\0' * 2_000_000), png(1, 60000, b'\0' * 240_000),
    b'<html>429 Too Many Requests</html>', 'текст'.encode('utf-16'), b'\xEF\xBB\xBF<!doctype html>',
]


def cut(draw, data, other):
    return data[:draw.randrange(len(data))]


def flip(draw, data, other):
    data = bytearray(data)
    for _ in range(draw.choice((1, 3, 30))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def flip_header(draw, data, other):
    data = bytearray(data)
    for _ in range(3):
        data[draw.randrange(min(len(data), 120))] = draw.randrange(256)
    return bytes(data)


def number(draw, data, other):
    at = draw.randrange(max(1, min(len(data) - 4, 2000)))
    value = draw.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 65536))
    return data[:at] + struct.pack(draw.choice('<>') + 'I', value) + data[at + 4:]


def blank(draw, data, other):
    at = draw.randrange(len(data))
    n = draw.randrange(1, 400)
    return data[:at] + bytes([draw.choice((0, 255))]) * n + data[at + n:]


def repeat(draw, data, other):
    at = draw.randrange(len(data))
    return data[:at] + data[at:at + draw.randrange(1, 3000)] * draw.choice((2, 50)) + data[at:]


def splice(draw, data, other):
    return data[:draw.randrange(len(data))] + other[draw.randrange(len(other)):]


def noise(draw, data, other):
    at = draw.randrange(len(data))
    return data[:at] + draw.randbytes(draw.randrange(1, 2000)) + data[at:]


def main(folder, count, seed):
    draw = random.Random(seed)
    os.makedirs(folder)
    sources = [(path.suffix, path.read_bytes()) for path in SAMPLES] + [('.bmp', bitmap())]
    ways = [cut, flip, flip_header, number, blank, repeat, splice, noise]
    for i in range(count):
        ending, data = sources[i % len(sources)]
        way = draw.choice(ways)
        if i < len(OTHERS):
            name, data = 'other', OTHERS[i]
        else:
            name, data = way.__name__, way(draw, data, draw.choice(sources)[1])
        pathlib.Path(folder, '%04d-%s%s' % (i, name, ending)).write_bytes(data)


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
