"""Writes a folder of files that archives really hold: odd ones that must be annotated and bad ones that must each end in their own
typed error, and expected.json beside it: {file name: ["ok"] or the error codes that are right for it}.

    python3 tests/e2e/hostile/make_hostile.py FOLDER     (FOLDER/images and FOLDER/expected.json)
"""
import json
import os
import struct
import sys
import zlib

import numpy as np
from PIL import Image


def picture(width, height, mode='RGB'):
    """A gradient with a darker disc: every row and column differs."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    disc = np.hypot(x - width / 2, y - height / 2) < min(width, height) / 4
    planes = [x / max(width - 1, 1) * 255, y / max(height - 1, 1) * 255, np.full_like(x, 128)]
    rgb = np.stack([np.where(disc, p / 3, p) for p in planes], -1).astype(np.uint8)
    return Image.fromarray(rgb).convert(mode)


def png(width, height, rows, bit_depth=8, colour=2):
    """A PNG by hand: what its header says and what its data hold need not agree."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    header = struct.pack('>IIBBBBB', width, height, bit_depth, colour, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows, 1)) + chunk(b'IEND', b'')


def lying(jpeg, width=None, height=None):
    """A JPEG whose frame header gives other sizes than its data hold."""
    data, at = bytearray(jpeg), 2
    while data[at + 1] not in (0xC0, 0xC2):
        at += 2 + struct.unpack_from('>H', data, at + 2)[0]
    old = struct.unpack_from('>HH', data, at + 5)
    struct.pack_into('>HH', data, at + 5, height or old[0], width or old[1])
    return bytes(data)


def good_files(path):
    """Files that must be annotated."""
    for width, height in ((1, 1), (1, 5000), (5000, 1), (3, 40)):
        picture(width, height).save(path('side %dx%d.png' % (width, height)))
    picture(200, 150, 'CMYK').save(path('cmyk.jpg'), quality=90)
    picture(200, 150).save(path('progressive.jpg'), progressive=True, quality=90)
    Image.fromarray((np.arange(120 * 90).reshape(90, 120) * 6).astype(np.uint16)).save(path('gray16.png'))
    picture(120, 90).quantize(16).save(path('palette.png'))
    picture(120, 90, '1').save(path('one bit.png'))
    picture(120, 90, 'L').save(path('gray.jpg'))
    with_alpha = picture(120, 90, 'RGBA')
    with_alpha.putalpha(picture(120, 90, 'L'))
    with_alpha.save(path('alpha.png'))
    with_alpha.save(path('alpha.webp'))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture(160, 100).save(path('exif %d.jpg' % orientation), quality=90, exif=exif)
    frames = [picture(80, 60).rotate(20 * i) for i in range(4)]
    frames[0].save(path('animated.gif'), save_all=True, append_images=frames[1:])
    frames[0].save(path('pages.tiff'), save_all=True, append_images=frames[1:])
    picture(120, 90).save(path('png inside.jpg'), format='PNG')
    picture(120, 90).save(path('no extension'), format='JPEG')
    for name in ('with spaces  twice.jpg', 'quote\'s and "double".jpg', '写真.jpg', 'صورة.jpg', '😀.jpg', '-dash.jpg', 'new\nline.jpg',
                 '%41 #hash ?query.jpg', 'a:b.jpg', '[0-9]*.jpg'):
        picture(60, 40).save(path(name), format='JPEG')
    whole = path('whole.jpg')
    picture(400, 400).save(whole, quality=95)
    with open(whole, 'rb') as file:
        data = file.read()
    with open(path('truncated at 80.jpg'), 'wb') as file:
        file.write(data[:len(data) * 8 // 10])
    for name, odd in (('ends early.jpg', data[:len(data) * 8 // 10] + b'\xFF\xD9'), ('taller by a little.jpg', lying(data, height=440)),
                      ('odd JFIF.jpg', data.replace(b'JFIF\0\1', b'JFIF\0\7', 1)), ('junk behind.jpg', data + b'junk' * 99),
                      ('junk before the end.jpg', data[:-2] + b'junk' * 9 + data[-2:])):
        with open(path(name), 'wb') as file:
            file.write(odd)
    return data


def bad_files(path, jpeg):
    """{name: codes}: files that must end in an error of their own."""
    def write(name, data):
        with open(path(name), 'wb') as file:
            file.write(data)
    os.symlink('nowhere', path('missing.jpg'))
    write('empty.jpg', b'')
    write('html.jpg', b'<!DOCTYPE html><html><body>403 Forbidden</body></html>')
    write('text.jpg', b'just words, ' * 50)
    write('noise.jpg', np.random.default_rng(1).integers(0, 256, 20000, np.uint8).tobytes())
    write('drawing.jpg', b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    write('document.jpg', b'%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n')
    os.mkdir(path('folder.jpg'))
    os.mkfifo(path('fifo.jpg'))
    write('bomb.png', png(30000, 30000, b'\0' * 100_000))
    write('huge side.png', png(2_000_000_000, 1, b'\0' * 1000))
    write('lying header.png', png(600, 600, b'\0' * (3 * 600 + 1) * 20))
    write('zero size.png', png(0, 10, b'\0'))
    write('only header.jpg', jpeg[:200])
    write('truncated at 20.jpg', jpeg[:len(jpeg) * 2 // 10])
    picture(320, 240).save(path('lying.gif'))
    with open(path('lying.gif'), 'r+b') as file:
        data = file.read()
        file.seek(data.index(b',' + struct.pack('<4H', 0, 0, 320, 240)) + 5)
        file.write(struct.pack('<2H', 6000, 6000))
    picture(320, 240).save(path('several scans.jpg'), progressive=True)
    with open(path('several scans.jpg'), 'rb') as file:
        progressive = file.read()
    for name, odd in (('height 60000.jpg', lying(jpeg, height=60000)), ('height x 10.jpg', lying(jpeg, height=4000)),
                      ('width x 10.jpg', lying(jpeg, width=4000)), ('ends at 20.jpg', jpeg[:len(jpeg) * 2 // 10] + b'\xFF\xD9'),
                      ('several scans.jpg', lying(progressive, height=2400)),
                      ('odd JFIF, height x 10.jpg', lying(jpeg, height=4000).replace(b'JFIF\0\1', b'JFIF\0\7', 1))):
        write(name, odd)
    write('cut in signature.png', b'\x89PNG\r\n')
    return {'missing.jpg': ['missing_file'], 'empty.jpg': ['empty_file'], 'html.jpg': ['not_an_image'],
            'text.jpg': ['not_an_image'], 'noise.jpg': ['not_an_image'], 'drawing.jpg': ['unsupported_format'],
            'document.jpg': ['unsupported_format'], 'folder.jpg': ['not_a_file'], 'fifo.jpg': ['not_a_file'],
            'bomb.png': ['too_large'], 'huge side.png': ['too_large'],
            'lying header.png': ['truncated', 'corrupt'], 'zero size.png': ['corrupt'],
            'only header.jpg': ['corrupt', 'truncated'], 'truncated at 20.jpg': ['truncated'],
            'lying.gif': ['corrupt'], 'height 60000.jpg': ['truncated'], 'height x 10.jpg': ['truncated'], 'width x 10.jpg': ['truncated'],
            'ends at 20.jpg': ['truncated'], 'several scans.jpg': ['truncated'], 'odd JFIF, height x 10.jpg': ['truncated'],
            'cut in signature.png': ['corrupt', 'not_an_image', 'truncated']}


def main(folder):
    images = os.path.join(folder, 'images')
    os.makedirs(images)
    jpeg = good_files(lambda name: os.path.join(images, name))
    expected = {name: ['ok'] for name in os.listdir(images)}
    expected.update(bad_files(lambda name: os.path.join(images, name), jpeg))
    with open(os.path.join(folder, 'expected.json'), 'w', encoding='utf-8') as file:
        json.dump(expected, file, ensure_ascii=False, indent=1, sort_keys=True)


if __name__ == '__main__':
    main(sys.argv[1])
