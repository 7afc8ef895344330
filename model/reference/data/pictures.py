"""Image files: size and content hash, and whether they belong to an evaluation."""
import hashlib
import json
import os
import re
import warnings
from typing import NamedTuple

from PIL import Image

ORIENTATION = 274         # EXIF's tag; 1: as stored
HASH = re.compile(r'(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])')


class BadPicture(ValueError):
    pass


class Picture(NamedTuple):
    width: int
    height: int
    sha256: str


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for chunk in iter(lambda: file.read(1 << 20), b''):
            digest.update(chunk)
    return digest.hexdigest()


def identify(path):
    """Raises BadPicture where it is no image, or is displayed otherwise than it is stored: boxes could mean either."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error', Image.DecompressionBombWarning)
            with Image.open(path) as image:
                (width, height), orientation = image.size, image.getexif().get(ORIENTATION, 1)
        digest = sha256_of(path)
    except Exception as why:              # Pillow raises anything on hostile bytes
        raise BadPicture('no image: %s' % why) from None
    if orientation not in (0, 1):
        raise BadPicture('turned by EXIF')
    return Picture(width, height, digest)


def hashes_in(path):
    """sha256 of images to keep out: from a folder of images, or a text file with them (sha256sum's output, records, results)."""
    if os.path.isdir(path):
        return {sha256_of(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names}
    found = set()
    with open(path, encoding='utf-8', errors='replace') as file:
        for line in file:
            found.update(h.lower() for h in hash_fields(line))
    return found


def hash_fields(line):
    """Of JSON only what is called sha256: it holds other hashes too."""
    if not line.lstrip().startswith('{'):
        return HASH.findall(line)
    try:
        values = [json.loads(line)]
    except ValueError:
        return []
    found = []
    while values:
        value = values.pop()
        if isinstance(value, dict):
            found += [v for k, v in value.items() if k == 'sha256' and isinstance(v, str) and HASH.fullmatch(v)]
            values += value.values()
        elif isinstance(value, list):
            values += value
    return found
