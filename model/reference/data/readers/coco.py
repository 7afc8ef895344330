"""COCO, LVIS and Objects365: instances in COCO's JSON, of any size; COCO's captions beside them.

LVIS is federated: an image says which classes were looked for in vain (neg_category_ids) and of which not every instance is
marked (not_exhaustive_category_ids).  Where an image has no such keys, all instances of all classes are marked."""
import os
import re

from data import masks, stream
from data.facts import Caption, Facts, Thing
from data.grounding import mentions
from data.readers.folders import Images, annotation_files
from data.shelf import Shelf, is_key

PATTERNS = {
    'coco': [r'instances_?(.*)\.json(?:\.gz)?'],
    'lvis': [r'lvis_v\d[\d.]*_(.*)\.json(?:\.gz)?'],
    'objects365': [r'zhiyuan_objv2_(.*)\.json(?:\.gz)?', r'objects365_(.*)\.json(?:\.gz)?'],
}
IMAGE_FIELDS = ('id', 'width', 'height', 'file_name', 'coco_url', 'caption', 'neg_category_ids', 'not_exhaustive_category_ids')
THING_FIELDS = ('id', 'category_id', 'bbox', 'segmentation', 'iscrowd')


def plain_name(name):
    """'cup_(drinking)' -> 'cup', 'Street Lights' -> 'street lights', 'Sofa/Couch' -> 'sofa'."""
    name = re.sub(r'\(.*?\)', ' ', name.replace('_', ' ')).split('/')[0]
    return ' '.join(name.lower().split())


class InstanceFile:
    """One annotation file, sorted by image."""

    def __init__(self, path, problems):
        self.name, self.problems, self.shelf = os.path.basename(path), problems, Shelf()
        self.categories = {}
        try:
            for section, entry in stream.elements(path):
                self.take(section, entry)
        except stream.BadJson as why:
            problems.break_off(self.name, str(why))

    def take(self, section, entry):
        if section not in ('images', 'annotations', 'categories'):
            return
        key = entry.get('image_id' if section == 'annotations' else 'id') if isinstance(entry, dict) else None
        if not is_key(key):
            self.problems.skip(self.name, 'entry of %s without an id' % section, repr(entry)[:60])
        elif section == 'categories':
            if isinstance(entry.get('name'), str) and plain_name(entry['name']):
                self.categories[key] = plain_name(entry['name'])
            else:
                self.problems.skip(self.name, 'category without a name', key)
        else:
            fields = IMAGE_FIELDS if section == 'images' else THING_FIELDS
            self.shelf.put(section, key, {field: entry[field] for field in fields if field in entry})

    def images(self):
        """Entries of images that say what is needed, in the order of their ids."""
        for key in self.shelf.keys('images'):
            entry = self.shelf.get('images', key)[0]
            size = entry.get('width'), entry.get('height')
            file_name = entry.get('file_name', entry.get('coco_url'))
            if not all(isinstance(s, int) and s > 0 for s in size):
                self.problems.skip(self.name, 'image without width and height', key)
            elif not isinstance(file_name, str):
                self.problems.skip(self.name, 'image without file_name', key)
            else:
                yield key, dict(entry, file_name=file_name)

    def things(self, key, width, height):
        """-> {annotation id: Thing}, names that crowds belong to."""
        out, crowds = {}, set()
        for number, entry in enumerate(self.shelf.get('annotations', key)):
            which, category = entry.get('id', 'entry %d' % number), entry.get('category_id')
            name = self.categories.get(category) if is_key(category) and is_key(which) else None
            box = masks.from_xywh(entry.get('bbox'), width, height)
            if name is None:
                self.problems.skip(self.name, 'annotation without an id and a known category', which)
            elif entry.get('iscrowd'):
                crowds.add(name)
            elif box is None:
                self.problems.skip(self.name, 'annotation without a box in its image', which)
                crowds.add(name)
            else:
                outline = entry.get('segmentation')
                if outline and not masks.usable(outline):
                    self.problems.skip(self.name, 'segmentation that is no polygon and no RLE (its box is used)', which)
                out[which] = Thing(name, box, outline if outline and masks.usable(outline) else None)
        return out, crowds

    def names(self, categories):
        """Of a list of category ids, as far as it is one."""
        return {self.categories[c] for c in categories if is_key(c) and c in self.categories} if isinstance(categories, list) else set()

    def known(self, image, things, crowds):
        """-> names that are complete, names that are absent."""
        present = {thing.name for thing in things} | crowds
        partly = self.names(image.get('not_exhaustive_category_ids', [])) | crowds
        absent = self.names(image.get('neg_category_ids', list(self.categories))) - present - partly
        return frozenset(present - partly), frozenset(absent)


class Coco:
    """name: 'coco', 'lvis' or 'objects365'."""

    def __init__(self, name, root, problems, split=None):
        self.name, self.root, self.problems = name, root, problems
        self.files = annotation_files(root, PATTERNS[name], split)
        self.opened = []

    def open(self):
        self.opened = [(split, InstanceFile(path, self.problems), self.captions(path)) for split, path in self.files]

    def captions(self, path):
        """The captions that stand beside a file of COCO's instances."""
        beside = os.path.join(os.path.dirname(path), os.path.basename(path).replace('instances', 'captions', 1))
        shelf, name = Shelf(), os.path.basename(beside)
        if self.name != 'coco' or not os.path.exists(beside):
            return shelf
        try:
            for section, entry in stream.elements(beside):
                if section != 'annotations':
                    continue
                if isinstance(entry, dict) and isinstance(entry.get('caption'), str) and entry['caption'].strip() \
                        and is_key(entry.get('image_id')):
                    shelf.put('captions', entry['image_id'], entry['caption'])
                else:
                    self.problems.skip(name, 'caption without a text', repr(entry)[:60])
        except stream.BadJson as why:
            self.problems.break_off(name, str(why))
        return shelf

    def facts(self):
        for split, file, captions in self.opened:
            images = Images(self.root, ['', split, 'images', 'images/' + split, 'train', 'train2017', 'val2017'])
            for key, image in file.images():
                path = images.find(re.sub(r'^https?://[^/]+/', '', image['file_name']))
                if path is None:
                    self.problems.skip(file.name, 'image file is not there', image['file_name'])
                    continue
                size = image['width'], image['height']
                found, crowds = file.things(key, *size)
                things = tuple(found.values())
                complete, absent = file.known(image, things, crowds)
                texts = [' '.join(text.split()) for text in captions.get('captions', key)]
                yield Facts('%s/%s' % (split, key) if split else str(key), path, size, things, complete=complete, absent=absent,
                            captions=tuple(Caption(text, mentions(text, things, complete)) for text in texts))
