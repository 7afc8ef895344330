"""Run lengths, and the text that pycocotools 2.0 writes for the same mask."""
import unittest

import numpy as np

from data import rle


class Rle(unittest.TestCase):
    def test_both_forms_bring_the_mask_back(self):
        random = np.random.default_rng(1)
        for height, width in ((1, 1), (1, 9), (7, 1), (33, 57)):
            mask = random.random((height, width)) < .4
            packed = rle.encode(mask)
            np.testing.assert_array_equal(rle.decode(packed), mask)
            np.testing.assert_array_equal(rle.decode({'size': packed['size'], 'counts': rle.runs(mask)}), mask)

    def test_runs_go_down_the_columns_background_first(self):
        mask = np.array([[1, 0, 0], [1, 1, 0]], bool)
        self.assertEqual(rle.runs(mask), [0, 2, 1, 1, 2])

    def test_compressed_text_is_that_of_pycocotools(self):
        y, x = np.mgrid[:40, :30]
        ellipse = (y - 20) ** 2 / 150 + (x - 14) ** 2 / 90 < 1
        self.assertEqual(rle.encode(ellipse), {'size': [40, 30], 'counts': 'i67n06K4M2N2N2O000O2O0001N10001N2N2N3L5JR7'})

    def test_what_is_no_rle_is_refused(self):
        for bad in (None, {}, {'size': [2, 2], 'counts': [3]}, {'size': [2], 'counts': [2]}, {'size': [2, 2], 'counts': 'T'},
                    {'size': [2, 2], 'counts': '\n'}, {'size': [2, 2], 'counts': [-1, 5]}):
            with self.assertRaises(rle.BadRle, msg=bad):
                rle.decode(bad)


if __name__ == '__main__':
    unittest.main()
