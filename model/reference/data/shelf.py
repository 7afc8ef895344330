"""Annotations sorted by image on disk, since the files that hold them are sorted by nothing and may exceed memory."""
import json
import sqlite3
import tempfile


def is_key(value):
    """Whether it names an entry: a text or a 64-bit integer."""
    return isinstance(value, str) or isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63


class Shelf:
    """Entries (JSON values) of named sections under keys as is_key() wants them."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix='annotations-', suffix='.sqlite')
        self.base = sqlite3.connect(self.file.name)
        self.base.executescript('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;'
                                'CREATE TABLE entries (section TEXT, key, entry TEXT);')
        self.indexed = False

    def put(self, section, key, entry):
        self.base.execute('INSERT INTO entries VALUES (?, ?, ?)', (section, key, json.dumps(entry, separators=(',', ':'))))
        self.indexed = False

    def index(self):
        if not self.indexed:
            self.base.execute('CREATE INDEX IF NOT EXISTS by_key ON entries (section, key)')
            self.base.commit()
            self.indexed = True

    def keys(self, section):
        """In ascending order, integers before texts."""
        self.index()
        for key, in self.base.execute('SELECT DISTINCT key FROM entries WHERE section = ? ORDER BY key', (section,)):
            yield key

    def get(self, section, key):
        """In the order in which they were put."""
        self.index()
        rows = self.base.execute('SELECT entry FROM entries WHERE section = ? AND key = ? ORDER BY rowid', (section, key))
        return [json.loads(entry) for entry, in rows]

    def close(self):
        self.base.close()
        self.file.close()
