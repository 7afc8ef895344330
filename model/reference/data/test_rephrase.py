"""The hook for a language model: what it says is checked, and what it breaks costs nobody else anything."""
import os
import sys
import tempfile
import unittest

from data.problems import Problems
from data.rephrase import Rephraser

PROGRAM = '''import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    %s
    print(json.dumps(answer), flush=True)
'''
KNOWN = {'man', 'red', 'shirt', 'dog'}


class Rephrase(unittest.TestCase):
    def ask(self, body, *phrases, patience_s=30.):
        self.problems = Problems()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'model.py')
            with open(path, 'w') as file:
                file.write(PROGRAM % body)
            rephraser = Rephraser('%s %s' % (sys.executable, path), self.problems, patience_s)
            self.addCleanup(rephraser.close)
            return [rephraser(phrase, KNOWN) for phrase in phrases]

    def reasons(self):
        return [row['reason'] for row in self.problems.table()]

    def test_its_phrase_is_taken(self):
        found = self.ask("answer = {'id': asked['id'], 'phrase': asked['phrase'].replace('man', 'woman')}", 'a man', 'a man in a red shirt')
        self.assertEqual(found, ['a woman', 'a woman in a red shirt'])
        self.assertEqual(self.problems.table(), [])

    def test_null_leaves_it_to_the_word_tables(self):
        self.assertEqual(self.ask("answer = {'id': asked['id'], 'phrase': None}", 'a man'), [None])
        self.assertEqual(self.problems.table(), [])

    def test_what_is_true_or_the_same_is_not_taken(self):
        for said in ('a dog', 'a man', '<bbox_location0> woman'):
            self.assertEqual(self.ask("answer = {'id': asked['id'], 'phrase': %r}" % said, 'a man'), [None])
            self.assertEqual(self.reasons(), ['answer that is true of the image, or changes nothing'])

    def test_nonsense_is_counted(self):
        for body in ("answer = {'id': 77, 'phrase': 'a woman'}", 'answer = [3]', "answer = {'id': asked['id'], 'phrase': 9}"):
            self.assertEqual(self.ask(body, 'a man', 'a man'), [None, None])
            self.assertEqual(self.problems.table()[0]['count'], 2)

    def test_one_that_ends_or_hangs_is_named_and_asked_no_more(self):
        self.assertEqual(self.ask('sys.exit(3)', 'a man', 'a man'), [None, None])
        self.assertEqual(self.problems.broken, ['rephraser: it ended'])
        self.assertEqual(self.ask('import time; time.sleep(60)', 'a man', patience_s=.1), [None])
        self.assertEqual(self.problems.broken, ['rephraser: no answer within 0.1 s'])
        self.assertEqual(self.ask("print('x' * 100000, flush=True); answer = 1", 'a man'), [None])
        self.assertIn('more than', self.problems.broken[0])


if __name__ == '__main__':
    unittest.main()
