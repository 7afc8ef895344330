"""Visual Genome: objects.json, relationships.json, region_descriptions.json, attributes.json, image_data.json; images under
VG_100K and VG_100K_2.  What isn't marked may still be there, so nothing is complete and nothing absent."""
import os
import re

from data import masks, stream
from data.facts import Facts, Region, Relation, Thing
from data.readers.folders import Images, NotThere
from data.shelf import Shelf, is_key

LISTS = {'objects': 'objects', 'attributes': 'attributes', 'relationships': 'relationships', 'region_descriptions': 'regions'}
ARTICLE = re.compile(r'^(a|an|the|some)\s+', re.IGNORECASE)


def clean(text):
    return ARTICLE.sub('', ' '.join(text.lower().split())).strip(' .,')


def name_of(entry):
    """Older files say `name`, newer ones `names`."""
    names = entry.get('names') or [entry.get('name')]
    return clean(names[0]) if isinstance(names, list) and isinstance(names[0], str) else ''


class VisualGenome:
    name = 'vg'

    def __init__(self, root, problems, split=None):
        if split:
            raise NotThere('%s: Visual Genome has no splits' % root)
        self.root, self.problems, self.shelf = root, problems, None
        self.paths = {name: os.path.join(root, name + '.json') for name in list(LISTS) + ['image_data']}
        if not os.path.exists(self.paths['image_data']) or not any(os.path.exists(self.paths[name]) for name in LISTS):
            raise NotThere('%s: expected image_data.json and at least one of %s' % (root, ', '.join(n + '.json' for n in LISTS)))
        self.images = Images(root, ['', 'images', 'VG_100K', 'VG_100K_2'])

    def open(self):
        self.shelf = Shelf()
        for section, path in self.paths.items():
            if not os.path.exists(path):
                continue
            name = os.path.basename(path)
            try:
                for _, entry in stream.elements(path):
                    key = entry.get('image_id', entry.get('id')) if isinstance(entry, dict) else None
                    kept = entry.get(LISTS[section]) if key is not None and section in LISTS else entry
                    if not is_key(key) or section in LISTS and not isinstance(kept, list):
                        self.problems.skip(name, 'entry without image_id and its list', repr(entry)[:60])
                    else:
                        self.shelf.put(section, key, kept)
            except stream.BadJson as why:
                self.problems.break_off(name, str(why))

    def entries(self, section, key):
        for entries in self.shelf.get(section, key):
            for entry in entries:
                if isinstance(entry, dict):
                    yield entry
                else:
                    self.problems.skip(section + '.json', 'entry that is no object', repr(entry)[:60])

    def facts(self):
        for key in self.shelf.keys('image_data'):
            image = self.shelf.get('image_data', key)[0]
            size = image.get('width'), image.get('height')
            if not all(isinstance(s, int) and s > 0 for s in size):
                self.problems.skip('image_data.json', 'image without width and height', key)
                continue
            url = image.get('url')
            path = self.images.find('/'.join(url.split('/')[-2:]) if isinstance(url, str) else '%s.jpg' % key)
            if path is None:
                self.problems.skip('image_data.json', 'image file is not there', url or key)
                continue
            yield self.of_image(key, path, size)

    def of_image(self, key, path, size):
        things, places = [], {}
        adjectives = {}
        for entry in self.entries('attributes', key):
            which, said = entry.get('object_id'), entry.get('attributes') or []
            if is_key(which) and isinstance(said, list):
                listed = [clean(a) for a in said if isinstance(a, str)]
                adjectives.setdefault(which, [a for a in dict.fromkeys(listed) if a])
            else:
                self.problems.skip('attributes.json', 'entry without an id and a list of attributes', which)

        def place(entry, file):
            """Index of the thing that an object entry means; it may be one that objects.json lacks."""
            which = entry.get('object_id')
            if is_key(which) and which in places:
                return places[which]
            box = masks.from_xywh([entry.get(k) for k in 'xywh'], *size)
            if box is None or not name_of(entry) or not is_key(which):
                self.problems.skip(file, 'object without an id, a name and a box in its image', which)
                return None
            places[which] = len(things)
            things.append(Thing(name_of(entry), box, None, tuple(adjectives.get(which, ()))))
            return places[which]

        for entry in self.entries('objects', key):
            place(entry, 'objects.json')
        relations = list(self.relations(key, place))
        regions = list(self.regions(key, size))
        return Facts(str(key), path, size, tuple(things), tuple(dict.fromkeys(relations)), tuple(dict.fromkeys(regions)))

    def relations(self, key, place):
        file = 'relationships.json'
        for entry in self.entries('relationships', key):
            ends, predicate = (entry.get('subject'), entry.get('object')), entry.get('predicate')
            if not all(isinstance(end, dict) for end in ends) or not isinstance(predicate, str) or not predicate.strip():
                self.problems.skip(file, 'relationship without subject, predicate and object', entry.get('relationship_id'))
                continue
            a, b = place(ends[0], file), place(ends[1], file)
            if a is not None and b is not None and a != b:
                yield Relation(a, ' '.join(predicate.lower().split()), b)

    def regions(self, key, size):
        file = 'region_descriptions.json'
        for entry in self.entries('region_descriptions', key):
            box = masks.from_xywh([entry.get(k) for k in ('x', 'y', 'width', 'height')], *size)
            phrase = entry.get('phrase')
            if box is None or not isinstance(phrase, str) or not phrase.strip(' .'):
                self.problems.skip(file, 'region without a phrase and a box in its image', entry.get('region_id'))
            else:
                yield Region(box, ' '.join(phrase.split()).strip(' .'))
