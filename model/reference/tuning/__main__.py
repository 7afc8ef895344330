"""Instruction tuning of a checkpoint in the published layout on records of `data/README.md`.

    python3 -m tuning MODEL RECORDS.jsonl OUT [preset=paper|small] [key=value ...]

MODEL: folder with config.json, weights and tokenizer (`base=` for a delta, `tower=` for a tower outside).  OUT becomes such a
folder, float16, with `log.jsonl`; started again with the same command, a run that was cut goes on where it last saved.
"""
import sys

from data.records import BadRecord
from tuning.conversations import BadExample
from tuning.run import Run
from tuning.schedule import BadSetting, settings


def main(arguments):
    if len(arguments) < 3:
        print(__doc__.strip())
        return 2
    try:
        model, records, out, *options = arguments
        run = Run(model, records, out, settings(options))
        print('records %s sha256 %s' % (len(run.records), run.records.sha256), flush=True)
        run.run()
    except (BadRecord, BadExample, BadSetting, FileNotFoundError) as why:
        print('tuning: %s' % why, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
