#!/usr/bin/python3
"""What a second campaign with another prompt over the same images saves: the numbers of deploy/CAPACITY.md.

    recaption.py BIN [--images N] [--rounds R] [--out FILE]

Images of 6 megapixels are served by a small web server on this machine. In each round they are annotated once without and
once with --cache and --feature-cache, then with another prompt with neither, each and both. Passes take turns, so that
what else the machine does falls on all of them. Each must say of its features where they came from, and the answers to
the second prompt must be the same whichever way. CPU seconds are those of ferret and its decoders, not the server's; what
its start takes is measured by one small image, and taken off."""
import argparse
import functools
import http.server
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

try:
    from PIL import Image
except ImportError:
    sys.exit("recaption.py: python3-pil is not here")

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PICTURES = ("landscape.jpg", "progressive.jpg", "square.png", "crowded.png", "occluded.png", "small objects.png")
FIRST = ("--task", "caption")
SECOND = ("--task", "locate", "--phrase", "the red square")
KEEP = {"neither": (), "cache": ("cache",), "features": ("features",), "both": ("cache", "features")}
# A pass: its name, its prompt, what it may use of what the first pass kept.
PASSES = [("first, nothing kept", FIRST, "neither"), ("first, both kept", FIRST, "both"), ("second, neither", SECOND, "neither"),
          ("second, --cache", SECOND, "cache"), ("second, --feature-cache", SECOND, "features"), ("second, both", SECOND, "both")]


class Server(http.server.ThreadingHTTPServer):
    """Files of a folder, which it knows by ETags as nginx does; counts what it is asked for, and what it gives."""

    def __init__(self, folder):
        counted = self
        self.asked = self.given = 0

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                counted.asked += 1
                if self.headers.get("If-None-Match") == self.etag():
                    self.send_response(304)
                    self.end_headers()
                    return
                counted.given += 1
                super().do_GET()

            def etag(self):
                found = os.stat(self.translate_path(self.path))
                return f'"{found.st_mtime_ns:x}-{found.st_size:x}"'

            def end_headers(self):
                self.send_header("ETag", self.etag())
                super().end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self.daemon_threads = True
        threading.Thread(target=self.serve_forever, daemon=True).start()


def paint(folder, n):
    """n different JPEGs of 3000 x 2000 out of the sample images: an own part of one each, and grain as cameras have it."""
    corpus = os.path.join(TREE, "tests/e2e/corpus/files")
    sources = [Image.open(os.path.join(corpus, name)).convert("RGB") for name in PICTURES]
    draw = random.Random(1)
    total = 0
    for i in range(n):
        source = sources[i % len(sources)]
        width, height = source.size
        side = [draw.uniform(0, 0.1) * width, draw.uniform(0, 0.1) * height]
        image = source.resize((3000, 2000), Image.BICUBIC, box=(side[0], side[1], side[0] + 0.9 * width, side[1] + 0.9 * height))
        grain = Image.effect_noise(image.size, 24).convert("RGB")
        path = os.path.join(folder, f"{i:05d}.jpg")
        Image.blend(image, grain, 0.1).save(path, quality=88)
        total += os.path.getsize(path)
    return total


class Run:
    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="ferret-recaption.", dir=os.environ.get("TMPDIR", "/var/tmp"))
        served = os.path.join(self.folder, "served")
        os.mkdir(served)
        self.bytes = paint(served, options.images)
        self.server = Server(served)
        with open(os.path.join(self.folder, "list.txt"), "w", encoding="utf-8") as f:
            f.writelines(f"http://127.0.0.1:{self.server.server_port}/{name}\n" for name in sorted(os.listdir(served)))

    def kept(self, round_, what):
        return os.path.join(self.folder, f"{what}-{round_}")

    def ferret(self, name, words):
        """Seconds, CPU seconds, and what it said."""
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run([os.path.join(self.options.bin, "ferret"), "annotate", *words], capture_output=True, text=True, check=False)
        took, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != 0:
            sys.exit(f"recaption.py: {name}: code {done.returncode}: {done.stderr}")
        return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stderr

    def annotate(self, round_, name, prompt, keep):
        """One pass: its figures, and its answers by id."""
        out = os.path.join(self.folder, "out.jsonl")
        flags = {"cache": ("--cache", self.kept(round_, "cache")), "features": ("--feature-cache", self.kept(round_, "features"))}
        words = [os.path.join(self.folder, "list.txt"), *prompt, "-o", out, "--allow-private-hosts", "--allow-port",
                 str(self.server.server_port)]
        words += [word for what in KEEP[keep] for word in flags[what]]
        asked, given = self.server.asked, self.server.given
        took, cpu, said = self.ferret(name, words)
        n = self.options.images
        restored = n if keep in ("features", "both") and prompt is SECOND else 0
        unread = n if keep == "features" and prompt is SECOND else 0
        if "features" in KEEP[keep] and f"features: {restored} images were kept, {n - restored} were not; {unread} were not read" not in said:
            sys.exit(f"recaption.py: {name}: features are not from where they should be: {said}")
        with open(out, encoding="utf-8") as f:
            records = [json.loads(line) for line in f]
        return ({"seconds": took, "cpu_s": cpu, "requests": self.server.asked - asked,
                 "fetched": self.server.given - given},
                {r["id"]: [r["status"], [t["text"] for t in r["tasks"]]] for r in records})

    def round(self, number, found):
        answers = {}
        small = os.path.join(TREE, "tests/e2e/corpus/files/tiny.png")
        took, cpu, _ = self.ferret("start", [small, "--max-tokens", "1", "-o", os.devnull])
        found.setdefault("start", []).append({"seconds": took, "cpu_s": cpu, "requests": 0, "fetched": 0})
        turn = number % 4
        second = PASSES[2:]
        for name, prompt, keep in PASSES[:2] + second[turn:] + second[:turn]:
            figures, said = self.annotate(number, name, prompt, keep)
            found.setdefault(name, []).append(figures)
            if len(said) != self.options.images or answers.setdefault(prompt, said) != said:
                sys.exit(f"recaption.py: {name}: other answers than those of the pass before")
        for what in KEEP["both"]:
            shutil.rmtree(self.kept(number, what))

    def close(self):
        self.server.shutdown()
        shutil.rmtree(self.folder)


def table(options, found, total):
    n = options.images * options.rounds

    def total_of(name, what):
        return sum(f[what] for f in found[name])

    def cpu_ms(name):
        return 1000 * (total_of(name, "cpu_s") - total_of("start", "cpu_s")) / n

    print(f"{options.images} JPEGs of 3000 x 2000 ({total / options.images / 1000:.0f} kB on average), {options.rounds} rounds; a start of "
          f"ferret takes {total_of('start', 'cpu_s') / options.rounds:.2f} CPU s, which are taken off; images/s are with it")
    print(f"{'pass':24} {'images/s':>9} {'CPU ms an image':>16} {'of neither':>11} {'requests an image':>18} {'fetched':>8}")
    base = {prompt: cpu_ms(name) for name, prompt, keep in PASSES if keep == "neither"}
    for name, prompt, _ in PASSES:
        print(f"{name:24} {n / total_of(name, 'seconds'):9.1f} {cpu_ms(name):16.1f} {cpu_ms(name) / base[prompt]:11.2f} "
              f"{total_of(name, 'requests') / n:18.2f} {total_of(name, 'fetched') / n:8.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("bin")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out")
    options = parser.parse_args()
    run = Run(options)
    found = {}
    try:
        for number in range(options.rounds):
            run.round(number, found)
    finally:
        run.close()
    table(options, found, run.bytes)
    if options.out:
        with open(options.out, "w", encoding="utf-8") as f:
            json.dump({"images": options.images, "passes": found}, f, indent=1)


if __name__ == "__main__":
    main()
