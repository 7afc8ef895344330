"""Points, boxes and free-form shapes lie in what they refer to."""
import random
import unittest

import numpy as np

from data import masks, rle, shapes
from data.facts import Thing

WIDTH, HEIGHT = 90, 70


def ring():
    """An object with a hole: its box's centre is not its own."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(x - 40, y - 35)
    return (distance > 12) & (distance < 25)


class Shapes(unittest.TestCase):
    def test_free_shapes_hold_pixels_of_the_object_only(self):
        mask, seen = ring(), set()
        for seed in range(60):
            refer = shapes.free_region(random.Random(seed), mask)
            drawn = rle.decode({'size': [HEIGHT, WIDTH], 'counts': refer.counts})
            seen.add(refer.shape)
            self.assertTrue(drawn.any())
            self.assertFalse((drawn & ~mask).any())
            self.assertLess(drawn.sum(), mask.sum())
            self.assertEqual(masks.box_of(drawn), refer.box)
        self.assertEqual(seen, {'scribble', 'stroke', 'polygon'})

    def test_the_same_seed_draws_the_same(self):
        for seed in range(20):
            self.assertEqual(shapes.free_region(random.Random(seed), ring()), shapes.free_region(random.Random(seed), ring()))

    def test_points_lie_on_the_object_near_its_centre(self):
        thing = Thing('ring', masks.box_of(ring()), ring())
        for seed in range(10):
            x, y = shapes.point_region(random.Random(seed), thing, ring()).point
            self.assertTrue(ring()[y, x])
            self.assertLess(np.hypot(x - 40, y - 35), 14)

    def test_points_without_a_mask_lie_in_the_box(self):
        for box in ((3, 5, 40, 60), (7, 7, 7, 7), (0, 0, 1, 69)):
            for seed in range(30):
                x, y = shapes.point_region(random.Random(seed), Thing('x', box)).point
                self.assertTrue(box[0] <= x <= box[2] and box[1] <= y <= box[3])

    def test_without_a_mask_there_is_no_free_form(self):
        kinds = {shapes.refer(random.Random(s), Thing('x', (0, 0, 30, 30)), WIDTH, HEIGHT).shape for s in range(40)}
        self.assertEqual(kinds, {'box', 'point'})
        square = Thing('x', (0, 0, 30, 30), [[0, 0, 31, 0, 31, 31, 0, 31]])
        kinds = {shapes.refer(random.Random(s), square, WIDTH, HEIGHT).shape for s in range(60)}
        self.assertEqual(kinds, {'box', 'point', 'scribble', 'stroke', 'polygon'})

    def test_boxes_are_the_pixels_that_are_touched(self):
        for xywh, box in (([0, 0, 10, 10], (0, 0, 9, 9)), ([1.5, 2.5, 3, 3], (1, 2, 4, 5)), ([80.2, 60, 100, 100], (80, 60, 89, 69)),
                          ([-5, -5, 6, 6], (0, 0, 0, 0)), ([3, 3, .2, .2], (3, 3, 3, 3)), ([90, 0, 5, 5], None), ([1, 1, 0, 5], None),
                          ([1, 1, float('inf'), 5], None), (None, None), ([1, 1, 2], None), (['1', 1, 2, 2], None)):
            self.assertEqual(masks.from_xywh(xywh, WIDTH, HEIGHT), box, xywh)

    def test_polygons_cover_what_coco_covers(self):
        """pycocotools 2.0: 800 pixels for the square, 400 +- 20 for the diamond in it."""
        square, diamond = ([[10, 10, 50, 10, 50, 30, 10, 30]], [[30, 10, 50, 20, 30, 30, 10, 20]])
        self.assertLess(abs(masks.pixels(square, WIDTH, HEIGHT).sum() - 800), 80)
        self.assertLess(abs(masks.pixels(diamond, WIDTH, HEIGHT).sum() - 400), 60)


if __name__ == '__main__':
    unittest.main()
