"""Every answer is true of the facts that it was made from."""
import random
import re
import unittest

from data import english, records
from data.cooccurrence import Cooccurrence
from data.facts import Caption, Facts, Mention, Phrase, Region, Relation, Thing
from data.kinds import absent, captions, changed, objects, reasoning, regions, relations
from data.text import Ground, Refer, fill

CLASSES = frozenset(['dog', 'cat', 'man', 'car', 'bicycle', 'truck', 'zebra', 'horse'])


def street(**more):
    """Two dogs and a cat on the left, a man riding a bicycle on the right."""
    things = (Thing('dog', (2, 10, 21, 29), None, ('brown',)), Thing('dog', (30, 10, 49, 29)), Thing('cat', (2, 60, 31, 84), None, ('black',)),
              Thing('man', (150, 10, 179, 69), None, ('young',)), Thing('bicycle', (140, 80, 189, 109)))
    values = dict(things=things, complete=CLASSES - {'zebra'}, absent=CLASSES - {'dog', 'cat', 'man', 'bicycle'},
                  relations=(Relation(3, 'riding', 4), Relation(3, 'looking at', 0), Relation(3, 'looking at', 2)))
    return Facts('1', 'a.png', (200, 120), **dict(values, **more))


def many(make, *rest, **more):
    for seed in range(60):
        for item in make(random.Random(seed), street(**more), *rest):
            yield item


def boxes_of(text):
    return [slot.box for slot in text.slots]


class Kinds(unittest.TestCase):
    def things_of(self, text):
        facts = street()
        for slot in text.slots:
            self.assertIn(slot.box, [t.box for t in facts.things])
        return [next(t.name for t in facts.things if t.box == slot.box) for slot in text.slots]

    def test_boxes_of_answers_are_those_of_what_was_asked(self):
        facts, seen = street(), set()
        for e in many(objects.make):
            asked = e.question.value
            seen.add(records.form_of(asked, e.answer.value))
            for name in CLASSES:
                if re.search(r'(Where|Locate|Find) .*\b(%s|%s)\b' % (name, english.plural(name)), asked) and not e.question.slots:
                    self.assertEqual(sorted(boxes_of(e.answer)), sorted(facts.things[i].box for i in facts.named(name)), asked)
        self.assertEqual(seen, {'refer-text', 'text-ground', 'refer-ground', 'both'})

    def test_a_region_is_called_by_its_name_and_never_by_the_other_one(self):
        found = 0
        for e in many(objects.make):
            if len(e.question.slots) == 1 and not e.answer.slots:
                name = self.things_of(e.question)[0]
                self.assertIn(name, e.answer.value)
                offered = re.findall(r'(?:an?) (\w+)(?= or|\?)', e.question.value)
                if ' or ' in e.question.value:
                    found += 1
                    self.assertIn(name, offered)
                    self.assertLess({*offered} - {name}, street().absent)
        self.assertGreater(found, 20)

    def test_what_is_not_complete_is_not_asked_for_all(self):
        for e in many(objects.make, complete=frozenset(), absent=frozenset()):
            self.assertNotRegex(e.question.value, r'\b(dogs|all|every|other)\b')

    def test_phrases_that_mean_one_thing_find_it(self):
        made = list(many(objects.make, phrases=(Phrase('the rider', (3,)),)))
        self.assertIn([(150, 10, 179, 69)], [boxes_of(e.answer) for e in made if 'the rider' in e.question.value])

    def test_relations_say_what_is_annotated(self):
        seen = set()
        for e in many(relations.make):
            seen.add(records.form_of(e.question.value, e.answer.value))
            names = self.things_of(e.question)
            if len(names) == 2 and 'riding' in e.answer.value:
                self.assertEqual(names, ['man', 'bicycle'])
                self.assertRegex(e.answer.value, '^The man.* is riding the bicycle.*')
            if e.question.value.startswith(('Which object', 'Give the box')):
                self.assertEqual(boxes_of(e.answer), [(140, 80, 189, 109)])       # he looks at two, so nobody asks for one
        self.assertEqual(seen, {'both', 'refer-text', 'refer-ground', 'text-ground'})

    def test_two_of_a_name_are_told_apart(self):
        twins = (Thing('dog', (0, 0, 9, 9)), Thing('dog', (60, 0, 69, 9)))
        answers = {e.answer.value for e in many(relations.make, things=twins, relations=())}
        self.assertIn('The dog <bbox_location0> is left of the other dog <bbox_location1>.', answers)

    def test_without_known_absence_the_other_name_is_one_that_excludes_it(self):
        """A hat may be a cap; a helmet it is not."""
        hat = (Thing('hat', (0, 0, 29, 29)),)
        made = many(objects.make, things=hat, complete=frozenset(), absent=frozenset(), relations=())
        offered = {tuple(sorted(re.findall(r'a (hat|cap|helmet|crown)', e.question.value))) for e in made if ' or ' in e.question.value}
        self.assertEqual(offered, {('hat', 'helmet')})

    def test_places_are_told_only_where_they_are_clear(self):
        self.assertEqual(relations.beside((0, 0, 9, 9), (40, 0, 49, 9)), 'left of')
        self.assertEqual(relations.beside((40, 0, 49, 9), (0, 0, 9, 9)), 'right of')
        self.assertEqual(relations.beside((0, 0, 9, 9), (0, 40, 9, 49)), 'above')
        self.assertIsNone(relations.beside((0, 0, 9, 9), (40, 38, 49, 49)))       # neither beside nor below
        self.assertIsNone(relations.beside((0, 0, 39, 9), (41, 0, 80, 9)))        # they touch
        for e in many(relations.make, relations=()):
            if 'left of' in e.answer.value and len(e.question.slots) == 2:
                a, b = boxes_of(e.question)
                self.assertLess(a[2], b[0])

    def test_regions_are_described_by_their_phrases(self):
        region = Region((0, 0, 60, 50), 'two dogs play')
        made = list(many(regions.make, regions=(region, Region((0, 0, 1, 1), 'a spot')), phrases=(Phrase('the rider', (3,)),)))
        described = {(boxes_of(e.question)[0], e.answer.value) for e in made if e.question.slots and e.question.slots[0].shape == 'box'}
        self.assertEqual(described, {(region.box, 'Two dogs play.'), ((150, 10, 179, 69), 'The rider.')})
        found = {tuple(boxes_of(e.answer)) for e in made if 'two dogs' in e.question.value}
        self.assertEqual(found, {(region.box,)})

    def test_captions_carry_boxes_behind_their_phrases(self):
        caption = Caption('A man passes two dogs.', (Mention(2, 5, (3,)), Mention(17, 21, (0, 1))))
        texts = {e.answer.value for e in many(captions.make, captions=(caption,))}
        self.assertIn('A man <bbox_location0> passes two dogs <bbox_location1> <bbox_location2>.', texts)
        self.assertIn('A man passes two dogs.', texts)
        self.assertIn('Two dogs <bbox_location0> <bbox_location1>, a cat <bbox_location2>, a man <bbox_location3> and a bicycle '
                      '<bbox_location4>.', texts)

    def test_reasoning_counts_compares_and_chooses(self):
        facts, seen = street(), set()
        for e in many(reasoning.make):
            question, answer = e.question.value, e.answer.value
            if 'many dogs' in question:
                seen.add('count')
                self.assertEqual((answer, boxes_of(e.answer)), ('There are two: <bbox_location0> <bbox_location1>.',
                                                                [(2, 10, 21, 29), (30, 10, 49, 29)]))
            if 'furthest to the right' in question:
                seen.add('extreme')
                self.assertEqual(boxes_of(e.answer), [(30, 10, 49, 29)])
            if 'larger' in answer:
                seen.add('larger')
                box, = boxes_of(e.answer)
                self.assertIn(box, boxes_of(e.question))
                other, = [b for b in boxes_of(e.question) if b != box]
                self.assertGreater((box[2] - box[0]) * (box[3] - box[1]), (other[2] - other[0]) * (other[3] - other[1]))
            if 'nearest' in answer:
                seen.add('nearest')
                self.assertEqual(facts.things[4].box in boxes_of(e.answer), facts.things[3].box in boxes_of(e.question))
        self.assertTrue({'count', 'extreme', 'larger'} <= seen)


class Negatives(unittest.TestCase):
    def test_absent_classes_are_absent_and_their_twins_there(self):
        together = Cooccurrence()
        for names in (['man', 'horse'], ['man', 'horse'], ['man', 'truck'], ['dog']):
            together.add(names)
        asked, facts = set(), street()
        for negative, positive in many(absent.make, together):
            self.assertTrue(negative.answer.value.startswith(('No, ', 'There is no ')))
            self.assertFalse(positive.answer.value.startswith(('No, ', 'There is no ')))
            said = [n for n in CLASSES if re.search(r'\b%s\b' % n, negative.question.value)]
            self.assertEqual(len(said), 1)
            self.assertIn(said[0], facts.absent)
            asked.add(said[0])
            wording = re.sub(r'\b(an?|the) \w+', 'X', negative.question.value)
            self.assertEqual(wording, re.sub(r'\b(an?|the) \w+', 'X', positive.question.value))
            there, = [n for n in CLASSES if re.search(r'\b%s\b' % n, positive.question.value)]
            self.assertNotIn(there, facts.absent)
            self.assertTrue(negative.answer.slots)
            for slot in negative.answer.slots:
                self.assertIn(slot.box, [t.box for t in facts.things])
        self.assertEqual(asked, set(facts.absent))

    def test_hard_absent_classes_are_near_or_usual(self):
        together = Cooccurrence()
        for names in (['man', 'horse'], ['man', 'horse'], ['man', 'truck'], ['zebra']):
            together.add(names)
        present = ['bicycle', 'cat', 'dog', 'man']
        self.assertEqual(together.usual(present, sorted(street().absent)), [('horse', 'man'), ('truck', 'man')])
        self.assertEqual(absent.candidates(street(absent=frozenset(['rabbit', 'plane'])), ['cat'], together, 'near'), [('rabbit', 'cat')])

    def test_no_class_is_absent_where_the_source_does_not_say_so(self):
        self.assertEqual(list(many(absent.make, Cooccurrence(), absent=frozenset())), [])

    def test_changed_phrases_are_not_true_and_the_answer_is(self):
        facts, seen = street(), {}
        for negative, positive in many(changed.make, None):
            claim = re.search(r'(?:show|see|Find|Locate) (.*?)[.?]', positive.question.value).group(1)
            false = re.search(r'(?:show|see|Find|Locate) (.*?)[.?]', negative.question.value).group(1)
            seen.setdefault(claim, set()).add(false)
            self.assertIn(claim, negative.answer.value)
            self.assertEqual(boxes_of(negative.answer), boxes_of(positive.answer))
            new = set(english.words(false)) - set(english.words(claim)) - {'a', 'an'}
            self.assertEqual(len(new), 1, (claim, false))
            if claim != 'two dogs':
                self.assertFalse(new & changed.known_words(facts))
        self.assertEqual(seen['two dogs'], {'three dogs', 'four dogs', 'five dogs', 'six dogs'})
        self.assertTrue({'a white cat', 'a red cat'} <= seen['a black cat'])
        self.assertNotIn('a brown cat', seen['a black cat'])                # there is something brown
        self.assertTrue({'an old man', 'a young woman'} <= seen['a young man'])

    def test_one_of_several_is_not_changed(self):
        """Another man may well wear the blue shirt."""
        things = (Thing('man', (0, 0, 20, 20)), Thing('man', (30, 0, 50, 20)))
        said = (Phrase('man in the red shirt', (0,)),)
        self.assertEqual(list(many(changed.make, None, things=things, phrases=said, complete=frozenset(), relations=())), [])
        made = list(many(changed.make, None, things=things[:1], phrases=said, complete=frozenset(), relations=()))
        self.assertTrue(made)

    def test_a_number_in_a_phrase_changes_only_where_it_is_exact(self):
        things = (Thing('men', (0, 0, 20, 20)), Thing('men', (30, 0, 50, 20)))
        made = many(changed.make, None, things=things, phrases=(Phrase('two men', (0, 1)),), complete=frozenset(), relations=())
        asked = {negative.question.value for negative, _ in made}
        self.assertTrue(any('three men' in q for q in asked) and any('two women' in q for q in asked))


class Sentences(unittest.TestCase):
    def test_slots_are_numbered_in_the_order_of_the_words(self):
        a, b = Ground((0, 0, 1, 1)), Refer((2, 2, 3, 3), 'box')
        inner = fill('{x} and {y}', x=a, y=b)
        self.assertEqual(fill('{b}: {inner}, {all}', b=b, inner=inner, all=[a, b]).value,
                         '<bbox_location0>: <bbox_location1> and <bbox_location0>, <bbox_location1> <bbox_location0>')
        self.assertEqual(fill('{word}', word='{x}').value, '{x}')

    def test_grammar(self):
        self.assertEqual([english.plural(n) for n in ('dog', 'cherry', 'bus', 'snowman', 'woman', 'sheep', 'stop sign', 'knife', 'toy')],
                         ['dogs', 'cherries', 'buses', 'snowmen', 'women', 'sheep', 'stop signs', 'knives', 'toys'])
        self.assertEqual([english.with_article(n) for n in ('owl', 'unicorn', 'dog', 'skis', 'corn', 'orange')],
                         ['an owl', 'a unicorn', 'a dog', 'skis', 'corn', 'an orange'])
        self.assertEqual(english.without_article('A man'), 'man')


if __name__ == '__main__':
    unittest.main()
