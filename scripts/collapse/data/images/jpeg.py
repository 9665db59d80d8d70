"""Whether a JPEG has all the data of its image.

Where a part of the compressed data is missing, libjpeg fills the image up with grey and warns, and
Pillow, which does not pass warnings on, returns the image as if nothing were wrong. JPEG has no
checksum, so damage that leaves the right amount of data can't be found.
"""

from __future__ import annotations

import io
import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: A marker and the fill bytes before it; 0xFF 0x00 is a byte of data.
_MARKER = re.compile(rb"\xff+([\x01-\xfe])")
_SCAN, _END = 0xDA, 0xD9
_RESTARTS = range(0xD0, 0xD8)
#: Markers without a length.
_BARE = {0x01, *_RESTARTS, 0xD8}
#: Data that is put behind the compressed data, on trial.
_MORE = b"\x5a" * 64


def is_complete(content: bytes, pixels: NDArray[np.uint8]) -> bool:
    """Tell whether the compressed data of a JPEG suffice for its image.

    More data put behind those that are there must change nothing, since a decoder that has all
    that it needs doesn't look at it. Where data is missing, it is taken for pixels.

    Parameters
    ----------
    content : bytes
        The file.
    pixels : ndarray
        The image that Pillow decodes from it.
    """
    ends = _ends(content)
    if ends is None:
        return False
    parts = [content[begin:end] for begin, end in zip([0, *ends], [*ends, None], strict=True)]
    try:
        with Image.open(io.BytesIO(_MORE.join(parts))) as image:
            return np.array_equal(np.asarray(image), pixels)
    except OSError:
        return False


def _ends(content: bytes) -> list[int] | None:
    """Return where each piece of compressed data ends; None if restarts or the end are missing."""
    ends: list[int] = []
    position, restart, in_scan = 2, 0, False
    while (marker := _MARKER.search(content, position)) is not None:
        kind = marker[1][0]
        if in_scan:
            ends.append(marker.start())
        if kind == _END:
            return ends
        if in_scan and kind in _RESTARTS:
            if kind != _RESTARTS[restart]:
                return None
            restart = (restart + 1) % len(_RESTARTS)
            position = marker.end()
            continue
        restart, in_scan = 0, kind == _SCAN
        length = 0 if kind in _BARE else int.from_bytes(content[marker.end() : marker.end() + 2])
        position = marker.end() + length
    return None
