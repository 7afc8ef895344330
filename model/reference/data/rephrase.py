"""A language model's part in negatives: an external command that changes phrases.

It gets one JSON object a line on stdin, {"id": 1, "phrase": "a man in a red shirt", "known": ["man", "red", ...]}, and answers each at
once with one line on stdout, {"id": 1, "phrase": "a woman in a red shirt"}; {"id": 1, "phrase": null} leaves it to the word tables.
`known` are words that are true of the image: an answer whose new words are among them is not taken."""
import json
import selectors
import shlex
import subprocess
import time

from data import english

LONGEST_LINE = 65536      # bytes
NAME = 'rephraser'


class Rephraser:
    def __init__(self, command, problems, patience_s=60.):
        self.problems, self.patience_s, self.count, self.rest = problems, patience_s, 0, b''
        self.process = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def __call__(self, phrase, known):
        """A changed phrase, or None."""
        if self.process is None:
            return None
        self.count += 1
        asked = {'id': self.count, 'phrase': phrase, 'known': sorted(known)}
        try:
            self.process.stdin.write(json.dumps(asked).encode() + b'\n')
            self.process.stdin.flush()
            line = self.line()
        except (OSError, TimeoutError) as why:
            self.problems.break_off(NAME, str(why))
            self.close()
            return None
        return self.judged(line, phrase, known)

    def line(self):
        end = time.monotonic() + self.patience_s
        while b'\n' not in self.rest:
            if not self.selector.select(max(0., end - time.monotonic())):
                raise TimeoutError('no answer within %g s' % self.patience_s)
            chunk = self.process.stdout.read1(LONGEST_LINE)
            if not chunk:
                raise OSError('it ended')
            self.rest += chunk
            if len(self.rest) > LONGEST_LINE:
                raise OSError('an answer of more than %d bytes' % LONGEST_LINE)
        line, _, self.rest = self.rest.partition(b'\n')
        return line

    def judged(self, line, phrase, known):
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or answer.get('id') != self.count or not isinstance(answer.get('phrase'), (str, type(None))):
            self.problems.skip(NAME, 'answer that is not {"id", "phrase"} of the question', line[:80])
            return None
        changed = ' '.join((answer['phrase'] or '').split())
        new = set(english.words(changed)) - set(english.words(phrase))
        if not changed:
            return None
        if not new or new & known or '<' in changed or '[' in changed:
            self.problems.skip(NAME, 'answer that is true of the image, or changes nothing', changed[:80])
            return None
        return changed

    def close(self):
        if self.process:
            for stream in (self.process.stdin, self.process.stdout):
                try:
                    stream.close()
                except OSError:
                    pass                      # what it did not read is lost with it
            self.selector.close()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
