"""The checkpoint without region features differs from its source in one layer only."""
import os
import tempfile
import unittest

from .records import Problem
from .withheld import BIAS, EMBEDDING, WEIGHT, parts, withhold

PRETRAINED = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'pretrained')


class Withheld(unittest.TestCase):
    def test_the_sampler_answers_with_the_token_s_own_embedding(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, 'model')
            withhold(PRETRAINED, out)
            with open(os.path.join(PRETRAINED, 'model.safetensors'), 'rb') as a, open(os.path.join(out, 'model.safetensors'), 'rb') as b:
                before, after = a.read(), b.read()
            self.assertEqual(sorted(os.listdir(out)), sorted(os.listdir(PRETRAINED)))
        at = parts(before)
        self.assertEqual(at, parts(after))
        changed = {name for name, (first, last, _, _) in at.items() if before[first:last] != after[first:last]}
        self.assertEqual(changed, {WEIGHT, BIAS})
        self.assertFalse(any(after[at[WEIGHT][0]:at[WEIGHT][1]]))
        self.assertEqual(after[at[BIAS][0]:at[BIAS][1]], after[at[EMBEDDING][1] - (at[BIAS][1] - at[BIAS][0]):at[EMBEDDING][1]],
                         'the region token is the last of the vocabulary')

    def test_what_is_no_checkpoint_in_one_file_is_refused(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(Problem, 'model.safetensors'):
            withhold(folder, os.path.join(folder, 'out'))


if __name__ == '__main__':
    unittest.main()
