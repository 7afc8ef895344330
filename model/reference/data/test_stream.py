"""Large JSON files piece by piece."""
import gzip
import json
import os
import tempfile
import unittest

from data import stream
from data.shelf import Shelf


class Stream(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, 'x.json')

    def read(self, text):
        with open(self.path, 'w', encoding='utf-8') as file:
            file.write(text)
        return list(stream.elements(self.path))

    def test_elements_are_those_of_the_whole_file_wherever_it_is_cut(self):
        value = {'info': {'a': [1, 2]}, 'images': [{'id': -12345678, 'n': 'ü"]}'}, 3.25e-7, [], True], 'empty': [], 'n': 123456}
        expected = [('info', value['info'])] + [('images', e) for e in value['images']] + [('n', 123456)]
        whole = stream.CHUNK
        try:
            for chunk in (1, 2, 3, 7, 1000):
                stream.CHUNK = chunk
                for text in (json.dumps(value), json.dumps(value, indent=2)):
                    self.assertEqual(self.read(text), expected)
        finally:
            stream.CHUNK = whole
        self.assertEqual(self.read('[1, {"a": 2}]'), [(None, 1), (None, {'a': 2})])
        self.assertEqual(self.read('{}'), [])

    def test_elements_before_a_break_come_and_the_break_has_a_place(self):
        for text, place in (('{"images": [{"id": 1}, {"id": 2', '23'), ('{"images": [{"id": 1} {"id": 2}]}', '22'), ('[1, 2', '5'), ('{"a"', '4')):
            found = []
            with self.assertRaisesRegex(stream.BadJson, r'character %s$' % place):
                with open(self.path, 'w') as file:
                    file.write(text)
                for element in stream.elements(self.path):
                    found.append(element)
            self.assertEqual(found, {'23': [('images', {'id': 1})], '22': [('images', {'id': 1})], '5': [(None, 1), (None, 2)], '4': []}[place])
        with self.assertRaisesRegex(stream.BadJson, 'deep'):
            self.read('[' * 100000)
        with self.assertRaises(stream.BadJson):
            self.read('7')

    def test_compressed_files_are_read(self):
        with gzip.open(self.path + '.gz', 'wt') as file:
            file.write('{"a": [1]}')
        self.assertEqual(list(stream.elements(self.path + '.gz')), [('a', 1)])
        with open(self.path + '.gz', 'rb') as file:
            head = file.read()[:-9]
        with open(self.path + '.gz', 'wb') as file:
            file.write(head)
        with self.assertRaises(stream.BadJson):
            list(stream.elements(self.path + '.gz'))

    def test_a_shelf_gives_back_by_key_in_order(self):
        shelf = Shelf()
        self.addCleanup(shelf.close)
        for key, entry in ((9, 'a'), (-2, {'b': [1]}), (9, None), ('x', 3), (10, 4)):
            shelf.put('s', key, entry)
        shelf.put('other', 9, 'no')
        self.assertEqual(list(shelf.keys('s')), [-2, 9, 10, 'x'])
        self.assertEqual(shelf.get('s', 9), ['a', None])
        shelf.put('s', 9, 'late')
        self.assertEqual(shelf.get('s', 9), ['a', None, 'late'])
        self.assertEqual(shelf.get('s', 11), [])


if __name__ == '__main__':
    unittest.main()
