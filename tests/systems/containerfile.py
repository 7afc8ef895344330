#!/usr/bin/env python3
"""Follows a Containerfile's steps in chroots: each stage is a copy of a debootstrapped Debian, COPY copies what
.dockerignore leaves, RUN runs. Knows the instructions that our files use, and stops at any other one.

    containerfile.py FILE BASE FOLDER      BASE: the debootstrapped Debian; stages become FOLDER/NAME or FOLDER/final"""
import fnmatch
import os
import re
import shutil
import subprocess
import sys


def instructions(path):
    """(word, rest), with continued lines joined and comments left out."""
    with open(path, encoding="utf-8") as f:
        lines = [line for line in f.read().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]


def ignored(path):
    """As .dockerignore has it: the last pattern that fits a path, or a folder above it, decides."""
    with open(".dockerignore", encoding="utf-8") as f:
        patterns = [p.strip() for p in f if p.strip() and not p.startswith("#")]
    out = False
    parts = path.split("/")
    fronts = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    for pattern in patterns:
        keep = pattern.startswith("!")
        if any(fnmatch.fnmatch(front, pattern.lstrip("!")) for front in fronts):
            out = not keep
    return out


def tracked():
    text = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True).stdout
    return [p for p in text.decode().split("\0") if p and os.path.isfile(p) and not ignored(p)]


class Stage:
    def __init__(self, base, folder):
        self.root, self.shell, self.folder, self.user = folder, ["/bin/sh", "-c"], "/", None
        subprocess.run(["cp", "-a", "--reflink=auto", base, folder], check=True)

    def copy(self, words):
        sources, target = words[:-1], words[-1]
        for path in tracked():
            for source in sources:
                if source == "." or path == source:
                    name = path if source == "." or not target.endswith(os.path.basename(source)) else target
                    to = self.root + os.path.join(self.folder, name if source != "." else os.path.join(target, path))
                    os.makedirs(os.path.dirname(to), exist_ok=True)
                    shutil.copy2(path, to)

    def run(self, rest, stages):
        mounts = []
        while rest.startswith("--mount="):
            option, rest = rest.split(maxsplit=1)
            fields = dict(f.split("=", 1) for f in option.removeprefix("--mount=").split(","))
            target = self.root + fields["target"]
            os.makedirs(target, exist_ok=True)
            subprocess.run(["mount", "--bind", "-o", "ro", stages[fields["from"]].root + fields["source"], target], check=True)
            mounts.append(target)
        mounts += [self.root + "/proc", self.root + "/dev"]
        subprocess.run(["mount", "-t", "proc", "proc", self.root + "/proc"], check=True)
        subprocess.run(["mount", "--bind", "/dev", self.root + "/dev"], check=True)
        shutil.copy("/etc/resolv.conf", self.root + "/etc/resolv.conf")
        try:
            command = f"cd {self.folder} && {rest}"
            environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
                           "HOME": "/root", "LC_ALL": "C.UTF-8"}
            subprocess.run(["chroot", self.root, *self.shell, command], env=environment, check=True)
        finally:
            for mount in reversed(mounts):
                subprocess.run(["umount", mount], check=False)


def main():
    path, base, folder = sys.argv[1:]
    stages, stage = {}, None
    for word, rest in instructions(path):
        print(f"== {word} {rest[:150]}", flush=True)
        if word == "FROM":
            name = rest.split(" AS ")[1] if " AS " in rest else "final"
            stage = stages[name] = Stage(base, os.path.join(folder, name))
        elif word == "SHELL":
            stage.shell = re.findall(r'"([^"]*)"', rest)
        elif word == "WORKDIR":
            stage.folder = rest
            os.makedirs(stage.root + rest, exist_ok=True)
        elif word == "COPY":
            stage.copy(rest.split())
        elif word == "RUN":
            stage.run(rest, stages)
        elif word == "USER":
            stage.user = rest
        elif word not in ("CMD", "STOPSIGNAL", "ENV"):
            sys.exit(f"containerfile.py: {word}: not known here")
    if not stages["final"].user or stages["final"].user.split(":")[0] in ("0", "root"):
        sys.exit(f"containerfile.py: {path}: its last stage runs as root")


if __name__ == "__main__":
    main()
