#!/usr/bin/env python3
"""Completion in the shells themselves: each is started on a terminal, a line is typed, the tab key is pressed, and what
appears is looked at. The flags come from the programs, so a flag that is new needs nothing here or there."""
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("BIN", os.path.join(TREE, "build/bin"))
SCRIPTS = os.path.join(TREE, "deploy/completion")
LIMIT_S = 20

# What is typed, what must be offered, what must not.
LINES = [
    ("ferret s", ["submit", "status", "show"], ["watch"]),
    ("ferret admin d", ["dead", "drain"], ["queue"]),
    ("ferret submit --t", ["--task", "--tenant", "--temperature", "--top-p"], ["--phrase"]),
    ("ferret submit --task ", ["caption", "describe", "locate", "ask"], ["--tenant"]),
    ("ferret-worker --http", ["--http"], ["--http-token"]),
    ("ferret up --root photos=model/pretr", ["pretrained"], []),
]


def environment():
    env = {k: v for k, v in os.environ.items() if not k.startswith("FERRET_")}
    env.update(PATH=f"{BIN}:{env['PATH']}", TERM="dumb", COLUMNS="200", HOME="/nonexistent", LC_ALL="C.UTF-8")
    return env


def behind(line, seen):
    return seen.split(line, 1)[-1]


def absent(line, seen, wanted):
    """What is wanted and not there. A candidate that is alone stands behind what was typed."""
    whole = re.split(r"[ =/]", line)[-1] + seen
    return [w for w in wanted if w not in seen and w not in whole]


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, command, set_up):
        pid, self.fd = pty.fork()
        if pid == 0:
            os.chdir(TREE)
            os.execvpe(command[0], command, environment())
        self.pid = pid
        self.ask(set_up + "; echo re''ady\n", lambda seen: "ready" in seen)

    def ask(self, keys, enough):
        """What is written until it is enough, or the time is over."""
        os.write(self.fd, keys.encode())
        seen, until = "", time.monotonic() + LIMIT_S
        while time.monotonic() < until and not enough(seen):
            if select.select([self.fd], [], [], 0.2)[0]:
                seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(self.fd, 65536).decode(errors="replace"))
        return seen

    def close(self):
        os.close(self.fd)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def offered_on_terminal(command, set_up, line, wanted):
    terminal = Terminal(command, set_up)
    try:
        # Twice: the first may only write what all candidates begin with.
        seen = terminal.ask(line + "\t\t", lambda seen: line in seen and not absent(line, behind(line, seen), wanted))
        return behind(line, seen)
    finally:
        terminal.close()


def bash(line, wanted):
    set_up = f"PS1=; bind 'set show-all-if-ambiguous on' 'set bell-style none' 2>/dev/null; . {SCRIPTS}/ferret.bash"
    return offered_on_terminal(["bash", "--norc", "--noprofile", "-i"], set_up, line, wanted)


def zsh(line, wanted):
    set_up = f"PS1=; fpath=({SCRIPTS} $fpath); autoload -U compinit; compinit -u -D; unsetopt list_beep; setopt auto_list"
    return offered_on_terminal(["zsh", "-f", "-i"], set_up, line, wanted)


def fish(line, wanted):
    del wanted
    code = f"source {SCRIPTS}/ferret.fish; complete -C {line!r}"
    done = subprocess.run(["fish", "--no-config", "-c", code], cwd=TREE, env=environment(), capture_output=True, text=True,
                          timeout=LIMIT_S, check=False)
    return done.stdout + done.stderr


def main():
    failed, missing = False, []
    for shell in (bash, zsh, fish):
        if not shutil.which(shell.__name__):
            missing.append(shell.__name__)
            continue
        for line, wanted, unwanted in LINES:
            seen = shell(line, wanted)
            for word in absent(line, seen, wanted):
                failed = True
                print(f"{shell.__name__}: \"{line}\": {word} is not offered, but: {seen!r}")
            for word in unwanted:
                if re.search(rf"(^|\s){re.escape(word)}(\s|$)", seen):
                    failed = True
                    print(f"{shell.__name__}: \"{line}\": {word} is offered: {seen!r}")
    if failed:
        sys.exit(1)
    if missing:
        print("not here: " + ", ".join(missing))
        sys.exit(77)


if __name__ == "__main__":
    main()
