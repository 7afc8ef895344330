"""Frames: `[version, kind, request, {fields}]` in MessagePack (PROTOCOL.md, section 2). Sections 3 and 4 say which fields a
kind has; what is checked here is what a client relies on."""
from __future__ import annotations

from typing import Any, Dict, Tuple

import msgpack

from .errors import ProtocolError

VERSION = 1
MOST_BYTES = 4 << 20
KINDS = {
    'ERROR': 0, 'PING': 1, 'PONG': 2, 'CAMPAIGN': 3, 'CAMPAIGN_SET': 4, 'STATUS': 5, 'CAMPAIGNS': 6, 'SUBMIT': 7, 'ACCEPTED': 8,
    'BUSY': 9, 'RESULTS': 10, 'RECORDS': 11, 'TRIM': 12, 'TRIMMED': 13, 'WORKERS': 14, 'SESSIONS': 15, 'LIST': 16, 'LISTED': 17,
    'TENANT': 18, 'DRAIN': 19, 'JOB': 20, 'JOB_IS': 21, 'REQUEUE': 22, 'REQUEUED': 23, 'DEAD': 24, 'FORGET': 25, 'FORGOTTEN': 26,
}
NAMES = {number: name for name, number in KINDS.items()}


def encode(kind: str, request: int, fields: Dict[str, Any]) -> bytes:
    """A frame. Text is str, bytes are bytes; fields that are None, 0 or empty are left out where they may be."""
    frame = msgpack.packb([VERSION, KINDS[kind], request, fields], use_bin_type=True)
    if len(frame) > MOST_BYTES:
        raise ProtocolError('a frame of %d bytes; at most %d' % (len(frame), MOST_BYTES))
    return frame


def decode(frame: bytes) -> Tuple[str, int, Dict[str, Any]]:
    """Kind, request and fields. Elements and fields that are not known here are there all the same."""
    if len(frame) > MOST_BYTES:
        raise ProtocolError('a frame of %d bytes; at most %d' % (len(frame), MOST_BYTES))
    try:
        value = msgpack.unpackb(frame, raw=False, strict_map_key=True)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise ProtocolError('a frame of %d bytes that is not one MessagePack value: %s' % (len(frame), error)) from error
    if not isinstance(value, list) or len(value) < 4 or not all(isinstance(n, int) for n in value[:3]):
        raise ProtocolError('a frame without [version, kind, request, fields]')
    version, kind, request, fields = value[:4]
    if version != VERSION:
        raise ProtocolError('the peer speaks protocol %d, this package speaks %d' % (version, VERSION))
    if kind not in NAMES or not isinstance(fields, dict):
        raise ProtocolError('message kind %d is not known here' % kind)
    return NAMES[kind], request, fields
