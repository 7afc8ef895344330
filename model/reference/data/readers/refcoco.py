"""RefCOCO, RefCOCO+ and RefCOCOg: refs(*.p) and instances.json as the REFER toolbox publishes them, or MDETR's
finetune_refcoco*_train.json.

    DIR/refcoco/{refs(unc).p,instances.json}  DIR/refcoco+/...  DIR/refcocog/...       or DIR/finetune_refcocog_train.json"""
import glob
import os
import pickle
import re

from data import masks, stream
from data.facts import Facts, Phrase, Thing
from data.readers.coco import InstanceFile
from data.readers.folders import Images, NotThere, annotation_files
from data.shelf import Shelf, is_key

FOLDERS = ['', 'images', 'train2014', 'images/train2014', 'images/mscoco/images/train2014']


class PlainUnpickler(pickle.Unpickler):
    """Lists, dicts, texts and numbers: a file that names any class is refused, since loading it could run code."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError('it names %s.%s, expected plain data' % (module, name))


def read_refs(path, problems):
    name = os.path.basename(path)
    try:
        with open(path, 'rb') as file:
            refs = PlainUnpickler(file, encoding='latin1').load()
    except Exception as why:            # pickle raises anything on a broken file
        problems.break_off(name, 'no refs: %s' % why)
        return []
    if not isinstance(refs, list):
        problems.break_off(name, 'expected a list of refs, found %s' % type(refs).__name__)
        return []
    return refs


def sentences(ref):
    """Texts of a ref, or None where it isn't one."""
    if not isinstance(ref, dict) or not {'ann_id', 'image_id', 'split', 'sentences'} <= set(ref):
        return None
    if not is_key(ref['image_id']) or not is_key(ref['ann_id']) or not isinstance(ref['sentences'], list):
        return None
    texts = [s.get('sent', s.get('raw')) if isinstance(s, dict) else None for s in ref['sentences']]
    return [' '.join(t.split()) for t in texts if isinstance(t, str) and t.strip()]


def unique_phrases(said):
    """(text, thing) pairs -> Phrases; a text that was said of two things means neither."""
    meant = {}
    for text, thing in said:
        meant.setdefault(text.lower().rstrip('.'), set()).add(thing)
    return tuple(Phrase(text, tuple(things)) for text, things in meant.items() if len(things) == 1)


class RefCoco:
    name = 'refcoco'

    def __init__(self, root, problems, split=None):
        self.root, self.problems, self.split = root, problems, split or 'train'
        pattern = os.path.join(glob.escape(root), '{}', 'refs(*).p')
        self.refs = [path for folder in ('', 'refcoco', 'refcoco+', 'refcocog') for path in sorted(glob.glob(pattern.format(folder)))]
        self.mdetr, self.opened = [], []
        if not self.refs:
            try:
                self.mdetr = annotation_files(root, [r'finetune_(refcoco[+g]?_.*)\.json'], split)
            except NotThere as why:
                raise NotThere('%s; and no refs(*).p in it or its refcoco, refcoco+, refcocog' % why) from None
        self.images = Images(root, FOLDERS)

    def open(self):
        self.opened = [self.open_refs(path) for path in self.refs]
        self.opened += [(split, InstanceFile(path, self.problems), None) for split, path in self.mdetr]

    def facts(self):
        for name, instances, refs in self.opened:
            yield from self.of_entries(name, instances) if refs is None else self.of_refs(name, instances, refs)

    def open_refs(self, path):
        """-> dataset name, instances, refs by image on a shelf."""
        folder, shelf, file = os.path.dirname(path), Shelf(), os.path.basename(path)
        for number, ref in enumerate(read_refs(path, self.problems)):
            texts = sentences(ref)
            if texts is None:
                self.problems.skip(file, 'ref without ann_id, image_id, split and sentences', number)
            elif ref['split'] == self.split:
                shelf.put('refs', ref['image_id'], [ref['ann_id'], texts])
        instances = os.path.join(folder, 'instances.json')
        if not os.path.exists(instances):
            raise NotThere('%s: no instances.json beside %s' % (folder, file))
        return os.path.basename(folder), InstanceFile(instances, self.problems), shelf

    def of_refs(self, name, instances, refs):
        spoken = set(refs.keys('refs'))
        for key, image in instances.images():
            if key not in spoken:
                continue
            path, size = self.images.find(image['file_name']), (image['width'], image['height'])
            if path is None:
                self.problems.skip(instances.name, 'image file is not there', image['file_name'])
                continue
            found, crowds = instances.things(key, *size)
            order, said = list(found), []
            for which, texts in refs.get('refs', key):
                if which in found:
                    said += [(text, order.index(which)) for text in texts]
                else:
                    self.problems.skip(instances.name, 'ref to an annotation that is not there', which)
            things = tuple(found.values())
            complete, absent = instances.known(image, things, crowds)
            yield Facts('%s/%s' % (name, key), path, size, things, phrases=unique_phrases(said), complete=complete, absent=absent)

    def of_entries(self, name, instances):
        """MDETR's form: one entry of `images` for each expression, with one annotation; entries of one file are put together."""
        by_file = {}
        for key, image in instances.images():
            by_file.setdefault(image['file_name'], []).append((key, image))
        for file_name, entries in by_file.items():
            path, size = self.images.find(file_name), (entries[0][1]['width'], entries[0][1]['height'])
            if path is None:
                self.problems.skip(instances.name, 'image file is not there', file_name)
                continue
            boxes, said = {}, []
            for key, image in entries:
                found = [masks.from_xywh(a.get('bbox'), *size) for a in instances.shelf.get('annotations', key)]
                text = image.get('caption')
                if len(found) != 1 or found[0] is None or not isinstance(text, str):
                    self.problems.skip(instances.name, 'expression without a text and one box', key)
                else:
                    said.append((' '.join(text.split()), boxes.setdefault(found[0], len(boxes))))
            things = tuple(Thing('object', box) for box in boxes)
            stem = re.sub(r'\.\w+$', '', os.path.basename(file_name))
            yield Facts('%s/%s' % (name, stem), path, size, things, phrases=unique_phrases(said))
