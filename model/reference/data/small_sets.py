"""Small data sets in the formats that the large ones are published in, for tests.  Coloured shapes stand for objects."""
import json
import os
import pickle
import random

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 120, 90
CATEGORIES = [(1, 'person'), (3, 'car'), (17, 'cat'), (18, 'dog'), (20, 'sheep'), (77, 'cell phone')]
COLOURS = {1: (220, 60, 60), 3: (60, 60, 220), 17: (230, 200, 60), 18: (120, 80, 40), 20: (240, 240, 240), 77: (20, 20, 20)}


def dump(value, *path):
    os.makedirs(os.path.dirname(os.path.join(*path)), exist_ok=True)
    with open(os.path.join(*path), 'w', encoding='utf-8') as file:
        json.dump(value, file)


def write(text, *path):
    os.makedirs(os.path.dirname(os.path.join(*path)), exist_ok=True)
    with open(os.path.join(*path), 'w', encoding='utf-8') as file:
        file.write(text)


def places(rng):
    """Objects of one image that don't touch each other: [(category, x, y, w, h)]."""
    cells = rng.sample([(x, y) for x in (4, 44, 82) for y in (4, 50)], rng.randint(2, 5))
    return [(rng.choice(CATEGORIES[:-1])[0], x, y, rng.randint(14, 32), rng.randint(14, 34)) for x, y in cells]


def picture(objects, *path):
    """Ellipses in the colours of their classes."""
    image = Image.new('RGB', (WIDTH, HEIGHT), (150, 160, 150))
    for category, x, y, w, h in objects:
        ImageDraw.Draw(image).ellipse([x, y, x + w - 1, y + h - 1], COLOURS[category])
    os.makedirs(os.path.dirname(os.path.join(*path)), exist_ok=True)
    image.save(os.path.join(*path))


def polygon(x, y, w, h):
    """A diamond in the box."""
    return [[x + w / 2, y, x + w, y + h / 2, x + w / 2, y + h, x, y + h / 2]]


def coco(folder, count, seed=0, split='train2017'):
    """instances_*.json, captions_*.json and images."""
    rng, images, annotations, captions = random.Random(seed), [], [], []
    for key in range(1, count + 1):
        name = '%012d.png' % key
        objects = places(rng)
        picture(objects, folder, split, name)
        images.append({'id': key, 'file_name': name, 'width': WIDTH, 'height': HEIGHT})
        for category, x, y, w, h in objects:
            annotations.append({'id': len(annotations) + 1, 'image_id': key, 'category_id': category, 'bbox': [x, y, w, h],
                                'area': w * h / 2, 'iscrowd': 0, 'segmentation': polygon(x, y, w, h)})
        names = sorted({dict(CATEGORIES)[o[0]] for o in objects})
        captions.append({'id': key, 'image_id': key, 'caption': 'There is a %s here.' % ' near a '.join(names)})
    categories = [{'id': i, 'name': name, 'supercategory': 'thing'} for i, name in CATEGORIES]
    dump({'info': {}, 'licenses': [{'id': 1, 'name': 'x'}], 'images': images, 'annotations': annotations, 'categories': categories},
         folder, 'annotations', 'instances_%s.json' % split)
    dump({'images': images, 'annotations': captions}, folder, 'annotations', 'captions_%s.json' % split)


def expressions(folder, split='train2017'):
    """finetune_refcoco_SPLIT.json beside a folder of coco(): an entry for each object whose class stands alone in its image."""
    with open(os.path.join(folder, 'annotations', 'instances_%s.json' % split), encoding='utf-8') as file:
        document = json.load(file)
    images, annotations = [], []
    for image in document['images']:
        mine = [a for a in document['annotations'] if a['image_id'] == image['id']]
        for one in mine:
            if sum(a['category_id'] == one['category_id'] for a in mine) == 1:
                key = len(images)
                images.append(dict(image, id=key, original_id=image['id'], dataset_name='refcoco',
                                   caption='the ' + dict(CATEGORIES)[one['category_id']]))
                annotations.append({'id': key, 'image_id': key, 'bbox': one['bbox'], 'category_id': 1})
    dump({'images': images, 'annotations': annotations, 'categories': [{'id': 1, 'name': 'object'}]},
         folder, 'finetune_refcoco_%s.json' % split)


def lvis(folder):
    """One image: two mugs, cups looked for in vain, spoons marked in part; of zebras both is said."""
    picture([(1, 5, 5, 20, 20), (3, 50, 40, 20, 20), (17, 90, 60, 20, 20)], folder, 'train2017', '000000000009.png')
    names = ['mug', 'cup', 'spoon_(cutlery)', 'zebra']
    dump({'images': [{'id': 9, 'coco_url': 'http://images.example/train2017/000000000009.png', 'width': WIDTH, 'height': HEIGHT,
                      'neg_category_ids': [2, 4], 'not_exhaustive_category_ids': [3, 4]}],
          'annotations': [{'id': i, 'image_id': 9, 'category_id': c, 'bbox': b, 'segmentation': polygon(*b)} for i, c, b in
                          ((1, 1, [5, 5, 20, 20]), (2, 1, [50, 40, 20, 20]), (3, 3, [90, 60, 20, 20]))],
          'categories': [{'id': i + 1, 'name': n, 'frequency': 'f'} for i, n in enumerate(names)]}, folder, 'lvis_v1_train.json')


def objects365(folder):
    """One image; names and paths as Objects365 v2 has them."""
    picture([(1, 5, 5, 20, 20)], folder, 'train', 'patch8', 'objects365_v1_00420917.png')
    dump({'images': [{'id': 420917, 'file_name': 'images/v1/patch8/objects365_v1_00420917.png', 'width': WIDTH, 'height': HEIGHT}],
          'annotations': [{'id': 1, 'image_id': 420917, 'category_id': 1, 'bbox': [5.2, 5.7, 19.5, 19.1], 'iscrowd': 0, 'isfake': 0}],
          'categories': [{'id': 1, 'name': 'Person'}, {'id': 2, 'name': 'Street Lights'}, {'id': 3, 'name': 'Cabinet/shelf'}]},
         folder, 'zhiyuan_objv2_train.json')


def visual_genome(folder):
    """A man rides a brown horse; a hat."""
    picture([(1, 50, 5, 20, 30), (18, 40, 30, 40, 40)], folder, 'VG_100K_2', '7.png')
    man = {'object_id': 11, 'x': 50, 'y': 5, 'w': 20, 'h': 30, 'names': ['man'], 'synsets': ['man.n.01']}
    horse = {'object_id': 12, 'x': 40, 'y': 30, 'w': 40, 'h': 40, 'names': ['a horse']}
    hat = {'object_id': 13, 'x': 52, 'y': 5, 'w': 10, 'h': 6, 'name': 'hat'}
    dump([{'image_id': 7, 'url': 'https://vg.example/rak248/VG_100K_2/7.png', 'width': WIDTH, 'height': HEIGHT}], folder, 'image_data.json')
    dump([{'image_id': 7, 'objects': [man, horse, {'object_id': 14, 'x': 500, 'y': 0, 'w': 5, 'h': 5, 'names': ['cloud']}]}],
         folder, 'objects.json')
    dump([{'image_id': 7, 'attributes': [dict(horse, attributes=['Brown', 'large', None])]}], folder, 'attributes.json')
    dump([{'image_id': 7, 'relationships': [
        {'relationship_id': 1, 'predicate': 'riding', 'subject': man, 'object': horse},
        {'relationship_id': 2, 'predicate': 'WEARING', 'subject': man, 'object': hat}, {'relationship_id': 3, 'predicate': 'on'}]}],
        folder, 'relationships.json')
    dump([{'id': 7, 'regions': [
        {'region_id': 1, 'image_id': 7, 'x': 38, 'y': 0, 'width': 45, 'height': 72, 'phrase': 'A man on a brown horse.'},
        {'region_id': 2, 'image_id': 7, 'x': 0, 'y': 0, 'width': 0, 'height': 9, 'phrase': 'nothing'}]}], folder, 'region_descriptions.json')


def refcoco(folder):
    """Two people and a car; refs of two splits, one to an annotation that isn't there."""
    name = 'COCO_train2014_000000000021.png'
    picture([(1, 5, 5, 20, 30), (1, 80, 5, 20, 30), (3, 30, 50, 40, 30)], folder, 'train2014', name)
    boxes = [(1, 1, [5, 5, 20, 30]), (2, 1, [80, 5, 20, 30]), (3, 3, [30, 50, 40, 30])]
    dump({'images': [{'id': 21, 'file_name': name, 'width': WIDTH, 'height': HEIGHT}],
          'annotations': [{'id': i, 'image_id': 21, 'category_id': c, 'bbox': b, 'segmentation': polygon(*b)} for i, c, b in boxes],
          'categories': [{'id': i, 'name': n} for i, n in CATEGORIES]}, folder, 'refcoco', 'instances.json')
    refs = [ref(1, 'train', 'Left man', 'man in the red shirt', 'person'), ref(2, 'train', 'right man', 'person'),
            ref(3, 'train', 'the blue car'), ref(3, 'testA', 'secret car'), ref(99, 'train', 'ghost'), {'ann_id': 3}]
    with open(os.path.join(folder, 'refcoco', 'refs(unc).p'), 'wb') as file:
        pickle.dump(refs, file, 0)


def ref(which, split, *texts):
    return {'ref_id': which, 'ann_id': which, 'category_id': 1, 'image_id': 21, 'file_name': 'x', 'split': split,
            'sentences': [{'sent': text, 'raw': text, 'tokens': text.split(), 'sent_id': 1} for text in texts]}


def mdetr(folder):
    """MDETR's refexp: one image entry an expression."""
    name = 'COCO_train2014_000000000031.png'
    picture([(1, 5, 5, 20, 30), (3, 30, 50, 40, 30)], folder, 'train2014', name)
    image = {'file_name': name, 'width': WIDTH, 'height': HEIGHT, 'original_id': 31, 'dataset_name': 'refcocog'}
    dump({'images': [dict(image, id=0, caption='a red man'), dict(image, id=1, caption='the  car'), dict(image, id=2, caption='nothing')],
          'annotations': [{'id': 0, 'image_id': 0, 'bbox': [5, 5, 20, 30], 'category_id': 1},
                          {'id': 1, 'image_id': 1, 'bbox': [30, 50, 40, 30], 'category_id': 1}],
          'categories': [{'id': 1, 'name': 'object'}]}, folder, 'finetune_refcocog_train.json')


def flickr30k(folder):
    """A man with a dog, a second dog in another phrase, and a scene without a box."""
    picture([(1, 10, 10, 20, 40), (18, 60, 50, 30, 20)], folder, 'flickr30k-images', '123.jpg')
    write('[/EN#1/people A man] in [/EN#2/clothing a red shirt] walks [/EN#3/animals a dog] , in [/EN#4/scene a park] .\n'
          '[/EN#1/people A person] plays with [/EN#3/animals a brown dog] .\n[/EN#1/people broken\n', folder, 'Sentences', '123.txt')
    box = '<object><name>%s</name><bndbox><xmin>%d</xmin><ymin>%d</ymin><xmax>%d</xmax><ymax>%d</ymax></bndbox></object>'
    write('<annotation><filename>123.jpg</filename><size><width>%d</width><height>%d</height><depth>3</depth></size>' % (WIDTH, HEIGHT)
          + box % ('1', 11, 11, 30, 50) + box % ('2', 12, 20, 28, 40) + box % ('3', 61, 51, 90, 70)
          + '<object><name>4</name><scene>1</scene><nobndbox>1</nobndbox></object></annotation>', folder, 'Annotations', '123.xml')
    write('123\n', folder, 'train.txt')
