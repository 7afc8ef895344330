"""Where the files of a published data set lie."""
import glob
import os
import re

HELD_OUT = re.compile(r'(^|[^a-z])(val|test|dev|minival)', re.IGNORECASE)


class NotThere(Exception):
    """The folder does not hold what its source needs."""


def annotation_files(folder, patterns, split=None):
    """(split, path) of the files that match one of the patterns, in which one group is the split.  Without a wish all but those
    whose split is named val, test or dev."""
    found = {}
    for place in (folder, os.path.join(folder, 'annotations')):
        for path in sorted(glob.glob(os.path.join(glob.escape(place), '*'))):
            for pattern in patterns:
                match = re.fullmatch(pattern, os.path.basename(path))
                if match and path not in found.values():
                    found.setdefault(match.group(1) or '', path)
    chosen = {name: path for name, path in found.items() if (name == split if split else not HELD_OUT.search(name))}
    if not chosen:
        here = ', '.join(sorted(found)) or 'none'
        raise NotThere('%s: no annotation file %s (splits there: %s)' % (
            folder, 'of split ' + split if split else 'that is not held out for evaluation', here))
    return sorted(chosen.items())


class Images:
    """Finds image files below a root, whose annotations name them in one of several customs."""

    def __init__(self, root, folders):
        self.root, self.folders = root, folders

    def find(self, name):
        """-> path relative to the root, or None.  Tried below each folder: the name as it is, its last two parts, its last."""
        parts = [part for part in name.split('/') if part not in ('', '.')]
        if not parts or '..' in parts or '\0' in name:
            return None
        for tail in dict.fromkeys(('/'.join(parts), '/'.join(parts[-2:]), parts[-1])):
            for folder in self.folders:
                path = folder + '/' + tail if folder else tail
                if os.path.isfile(os.path.join(self.root, path)):
                    return path
        return None
