"""Pillow's turns for bench/preprocess: `pillow.py WIDTH HEIGHT SIZE` reads the pixels from stdin, then for each further
byte resizes them once and prints the processor's seconds and the SHA-256 of the result."""
import hashlib
import sys
import time

try:
    from PIL import Image
except ImportError:
    sys.exit(0)

width, height, size = map(int, sys.argv[1:4])
image = Image.frombytes('RGB', (width, height), sys.stdin.buffer.read(width * height * 3))
while sys.stdin.buffer.read(1):
    start = time.process_time()
    out = image.resize((size, size), Image.BICUBIC)
    seconds = time.process_time() - start
    print(seconds, hashlib.sha256(out.tobytes()).hexdigest(), flush=True)
