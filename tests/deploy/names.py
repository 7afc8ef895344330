#!/usr/bin/env python3
"""Names in the operators' files against the programs: settings (flags, FERRET_* variables, keys of configuration files) and
metrics. What is renamed in a program and not here is a complaint, a line each.

    names.py BIN"""
import glob
import json
import os
import re
import subprocess
import sys

# Variables that scripts here have for themselves, and that belong to no program.
OWN = {"FERRETRY_ROOTS", "FERRETRY_CLIENTS", "FERRETRY_IDLE_S", "FERRETRY_IMAGE", "FERRETRY_MEMORY"}
EVERYWHERE = {"config", "print-config", "print-flags", "help", "version"}


def flags_of(binary, *command):
    text = subprocess.run([binary, *command, "--print-flags"], capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in text.splitlines()]
    return [r[1] for r in rows if r[0] == "command"], {r[1] for r in rows if r[0] == "flag"}


def all_flags(folder):
    """Of each program and command, by its name as it is typed."""
    found = {}
    for program in ("ferret-broker", "ferret-worker"):
        found[program] = flags_of(os.path.join(folder, program))[1]
    todo = [()]
    while todo:
        command = todo.pop()
        under, flags = flags_of(os.path.join(folder, "ferret"), *command)
        todo += [command + (name,) for name in under]
        if not under:
            found[" ".join(("ferret",) + command)] = flags
    return found


def check_settings(path, text, flags):
    known = set().union(*flags.values())
    variables = {"FERRET_" + name.upper().replace("-", "_") for name in known | {"config"}}
    for name in sorted(set(re.findall(r"\bFERRET_[A-Z][A-Z_]+\b", text)) - variables):
        yield f"{path}: {name} is no program's setting"
    if path.endswith(".json"):
        program = "ferret-" + os.path.basename(path).removesuffix(".json")
        for key in json.loads(text):
            if key not in flags.get(program, known):
                yield f"{path}: \"{key}\" is no setting of {program}"
    text = re.sub(r"(,|\\\\)\s*\n\s*", r"\1 ", text) # commands that go on in the next line
    # All flags behind a program's name, up to the next one's, the end of the command or of the line.
    for program, words in re.findall(r"\b(ferret(?:-broker|-worker)?)((?:[ ,\[]+(?!ferret\b|ferret-)[^\s|;`)]+)+)", text):
        for name in re.findall(r"(?<![\w-])--([a-z][a-z-]+)", words):
            if name not in (known if program == "ferret" else flags[program]) | EVERYWHERE:
                yield f"{path}: {program} has no flag --{name}"
    for name in set(re.findall(r"\bFERRETRY_[A-Z_]+\b", text)) - OWN:
        yield f"{path}: {name}: a variable that nothing reads"


def check_metrics(path, text):
    made = set()
    for source in glob.glob("broker/*.c") + glob.glob("worker/*.c") + glob.glob("observe/*.c"):
        with open(source, encoding="utf-8") as f:
            made |= set(re.findall(r'"(ferretry_[a-z_]+)"', f.read()))
    for name in sorted(set(re.findall(r"\bferretry_[a-z_]+\b", text))):
        if re.sub(r"_(bucket|sum|count)$", "", name) not in made and name not in made:
            yield f"{path}: no program tells a metric {name}"


def queries(path, text):
    """The board's queries as rules, for promtool to parse."""
    if not path.endswith(".json"):
        return
    exprs = [t["expr"] for p in json.loads(text)["panels"] for t in p["targets"]]
    rules = [{"record": f"board:query{i}", "expr": e} for i, e in enumerate(exprs)]
    with open("build/board_queries.yml", "w", encoding="utf-8") as f:
        json.dump({"groups": [{"name": "board", "rules": rules}]}, f)


def main():
    flags = all_flags(sys.argv[1])
    complaints = []
    for path in sorted(glob.glob("deploy/**/*", recursive=True)):
        if not os.path.isfile(path) or path.endswith((".awk", ".fish", ".bash", "_ferret")):
            continue
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if path.startswith(("deploy/prometheus/", "deploy/grafana/")):
            complaints += check_metrics(path, text)
        elif path.startswith("deploy/kubernetes/autoscale"):
            complaints += check_metrics(path, text)
        else:
            complaints += check_settings(path, text, flags)
        if path.startswith("deploy/grafana/"):
            queries(path, text)
    print("\n".join(complaints), end="\n" if complaints else "")


if __name__ == "__main__":
    main()
