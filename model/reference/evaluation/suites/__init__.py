"""One published suite a file."""
from . import captions, flickr30k, lvis, pope, refcoco

SUITES = {'refcoco': refcoco, 'flickr30k': flickr30k, 'lvis': lvis, 'pope': pope, 'captions': captions}
