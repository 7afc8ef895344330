"""What `ferret annotate` and `ferret export` write, found by id: a record that is missing never moves another."""
import gzip
import json


class Problem(Exception):
    """Bad input, told in one sentence."""


def read_lines(path):
    """JSON objects of a file, one a line; gzip by its name."""
    opener = gzip.open if path.endswith('.gz') else open
    try:
        with opener(path, 'rt', encoding='utf-8-sig') as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        value = json.loads(line)
                    except ValueError as error:
                        raise Problem('%s:%d: no JSON: %s' % (path, number, error))
                    if not isinstance(value, dict):
                        raise Problem('%s:%d: expected an object' % (path, number))
                    yield number, value
    except (OSError, UnicodeDecodeError) as error:
        raise Problem('%s: %s' % (path, error))


def read_json(path):
    try:
        with open(path, encoding='utf-8-sig') as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise Problem('%s: %s' % (path, error))


class Records:
    """All records of one run.  `made_by`: model, engine and seed, which must be the same in every record."""

    def __init__(self, paths):
        self.by_id, self.made_by = {}, None
        for path in paths:
            for number, record in read_lines(path):
                self.add('%s:%d' % (path, number), record)
        if not self.by_id:
            raise Problem('%s: no records' % ', '.join(paths))

    def add(self, where, record):
        if record.get('schema') != 1 or 'id' not in record:
            raise Problem('%s: expected a result record of schema 1' % where)
        if record['id'] in self.by_id:
            raise Problem('%s: a second record of %s' % (where, record['id']))
        answers = {answer['id']: answer for answer in record.get('tasks', [])}
        self.by_id[record['id']] = answers
        if record['status'] == 'failed':
            return
        made_by = {'model': record.get('model'), 'engine': record.get('engine'), 'seed': record.get('seed')}
        if self.made_by not in (None, made_by):
            raise Problem('%s: made by %s, earlier ones by %s' % (where, json.dumps(made_by), json.dumps(self.made_by)))
        self.made_by = made_by

    def answer(self, record, answer):
        """The answer with this id in the record with that id; None where it is missing or failed."""
        found = self.by_id.get(record, {}).get(answer)
        return None if found is None or 'error' in found else found

    def text(self, record, answer):
        found = self.answer(record, answer)
        return None if found is None else found['text']
