"""Intervals against values worked out by hand."""
import unittest

from .intervals import CLASS_F1, PRECISION, RATIO, RECALL, SHARE, Item, design_effect, difference, estimate, wilson


def items(values, images=None):
    return [Item(str(k), str(images[k] if images else k), float(v)) for k, v in enumerate(values)]


class Estimates(unittest.TestCase):
    def test_wilson_is_the_textbook_interval(self):
        low, high = wilson(.9, 100)                 # Newcombe 1998: 90 of 100
        self.assertAlmostEqual(low, .8256, 4)
        self.assertAlmostEqual(high, .9448, 4)
        self.assertAlmostEqual(wilson(1., 10)[0], 10 / (10 + 1.959964 ** 2), 5)
        self.assertEqual(wilson(0., 10)[0], 0.)

    def test_a_share_of_independent_items_is_wilson(self):
        got = estimate(SHARE, items([1] * 90 + [0] * 10))
        self.assertEqual((got.value, got.n), (90., 100))
        self.assertAlmostEqual(got.low, 82.56, 2)

    def test_copies_within_an_image_do_not_narrow_the_interval(self):
        values = [1, 1, 1, 0, 1, 1, 0, 1, 1, 1]
        alone = estimate(SHARE, items(values))
        twice = estimate(SHARE, items(values * 2, list(range(10)) * 2))
        self.assertAlmostEqual(design_effect(values * 2, list(range(10)) * 2), 2.)
        self.assertEqual((alone.low, alone.high), (twice.low, twice.high))

    def test_no_items_have_no_value(self):
        self.assertEqual(estimate(SHARE, [])[:4], (None, 0, None, None))

    def test_a_ratio_is_the_sum_over_the_sum(self):
        got = estimate(RATIO, [Item('a', '1', 3., 4.), Item('b', '2', 1., 4.)])
        self.assertEqual((got.value, got.low, got.high), (50., 25., 75.))
        self.assertEqual(got, estimate(RATIO, [Item('a', '1', 3., 4.), Item('b', '2', 1., 4.)]), 'seeded')

    def test_class_f1_averages_over_the_classes_to_recall(self):
        rows = [Item('1', 'i', 1., label='cat', side=PRECISION), Item('2', 'i', 0., label='cat', side=PRECISION),
                Item('3', 'i', 0., label='dog', side=PRECISION), Item('4', 'i', 1., label='cat', side=RECALL)]
        self.assertAlmostEqual(estimate(CLASS_F1, rows).value, 100 * 2 * .5 * 1. / 1.5)
        rows.append(Item('5', 'i', 0., 0., label='owl', side=RECALL))
        self.assertAlmostEqual(estimate(CLASS_F1, rows).value, 100 * 2 * .25 * .5 / .75)


class Differences(unittest.TestCase):
    def test_disagreements_are_counted_by_item(self):
        got = difference(SHARE, items([1, 1, 0, 0, 1]), items([1, 0, 1, 1, 1]))
        self.assertEqual((got.value, got.better, got.worse, got.n), (20., 2, 1, 5))

    def test_agresti_and_min_by_hand(self):
        """10 better, 4 worse of 100: middle 6 / 102, variance (15 / 102 - middle squared) / 102."""
        a, b = [0] * 10 + [1] * 4 + [1] * 86, [1] * 10 + [0] * 4 + [1] * 86
        got, middle = difference(SHARE, items(a), items(b)), 6 / 102
        half = 1.959964 * ((15 / 102 - middle ** 2) / 102) ** .5
        self.assertAlmostEqual(got.low, 100 * (middle - half), 4)
        self.assertAlmostEqual(got.high, 100 * (middle + half), 4)

    def test_equal_runs_leave_some_doubt(self):
        got = difference(SHARE, items([1] * 50), items([1] * 50))
        self.assertEqual(got.value, 0.)
        self.assertTrue(-4 < got.low < 0 < got.high < 4)

    def test_order_does_not_matter(self):
        a, b = items([1, 0, 1, 0]), items([1, 1, 0, 0])
        self.assertEqual(difference(SHARE, a, b), difference(SHARE, a[::-1], b))

    def test_ratios_draw_the_same_images(self):
        a = [Item(str(k), str(k), v) for k, v in enumerate([.1, .5, .9])]
        b = [i._replace(value=i.value + .05) for i in a]
        got = difference(RATIO, a, b)
        for value in got[0], got.low, got.high:
            self.assertAlmostEqual(value, 5.)


if __name__ == '__main__':
    unittest.main()
