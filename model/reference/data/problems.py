"""What was left out of a build and why: counted by file and reason, the first few named."""
from contextlib import contextmanager

NAMED = 5


class Problems:
    def __init__(self):
        self.counts, self.examples, self.broken, self.quiet = {}, {}, [], False

    @contextmanager
    def muted(self):
        """Entries that are read another time count once."""
        self.quiet = True
        try:
            yield
        finally:
            self.quiet = False

    def skip(self, file, reason, which):
        """One entry is left out."""
        if self.quiet:
            return
        key = file, reason
        self.counts[key] = self.counts.get(key, 0) + 1
        if self.counts[key] <= NAMED:
            self.examples.setdefault(key, []).append(str(which))

    def break_off(self, file, reason):
        """The rest of a file is left out: the build is not whole."""
        self.broken.append('%s: %s' % (file, reason))

    def table(self):
        rows = [{'file': file, 'reason': reason, 'count': count, 'first': self.examples[file, reason]}
                for (file, reason), count in self.counts.items()]
        return sorted(rows, key=lambda row: (row['file'], row['reason']))
