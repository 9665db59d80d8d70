"""Decoding of an image file to an array of 8 bits, cropped and scaled down if asked for."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from collapse.data.images import jpeg
from collapse.errors import DataError, in_one_line

#: Grey and colour images, 8 bits a channel.
MODES = {"L": 1, "RGB": 3}

#: The header of a PPM or PGM of 8 bits: its kind, width, height and largest value.
_PPM_HEADER = rb"P[56](?:(?:\s|#[^\n\r]*[\n\r])+\d+){3}\s"


class Scaling(NamedTuple):
    """Scaling of an image's central square of ``crop`` x ``crop`` pixels to ``size`` x ``size``.

    Without ``crop`` the square is the largest; without ``size`` the image stays as it is.
    """

    size: int | None = None
    crop: int | None = None


def decode(file: Path | IO[bytes], where: str, scaling: Scaling) -> NDArray[np.uint8]:
    """Decode an image.

    Parameters
    ----------
    file : path or binary file
    where : str
        Name of the image in errors.
    scaling : Scaling

    Returns
    -------
    ndarray of uint8, shape (height, width, channels)

    Raises
    ------
    DataError
        If the image is not all there or the file has several, it is neither grey nor RGB, or it
        is too small.
    """
    try:
        content = file.read_bytes() if isinstance(file, Path) else file.read()
        with Image.open(io.BytesIO(content)) as opened:
            frames, kind = getattr(opened, "n_frames", 1), opened.format
            opened.load()  # reads the file to its end
            complete = _is_complete(content, opened)
            image = ImageOps.exif_transpose(opened)
    except Exception as error:  # damage raises errors of many types
        raise DataError(f"{where}: can't be read as an image ({in_one_line(error)})") from None
    if frames != 1:
        raise DataError(f"{where}: found {frames} images in the file, expected one")
    if not complete:
        raise DataError(
            f"{where}: can't be read as an image (the {kind} has less data than its image needs, "
            "or more)"
        )
    if image.mode not in MODES:
        raise DataError(f"{where}: found mode {image.mode}, expected {' or '.join(MODES)}")
    if scaling.size is not None:
        image = _scaled(image, where, scaling.size, scaling.crop or min(image.size))
    return np.asarray(image).reshape(image.height, image.width, MODES[image.mode])


def _is_complete(content: bytes, image: Image.Image) -> bool:
    """Check what Pillow does not: data of JPEG, checksums of PNG, the length of PPM and PGM."""
    if image.format in ("JPEG", "MPO"):
        return jpeg.is_complete(content, np.asarray(image))
    if image.format == "PNG":
        with Image.open(io.BytesIO(content)) as again:
            again.verify()
    if content[:2] in (b"P5", b"P6") and image.mode in MODES:
        size = image.width * image.height * MODES[image.mode]
        header = len(content) - size
        return header > 0 and re.fullmatch(_PPM_HEADER, content[:header]) is not None
    return True


def _scaled(image: Image.Image, where: str, size: int, crop: int) -> Image.Image:
    least = max(size, crop)
    if min(image.size) < least:
        raise DataError(
            f"{where}: found {image.width} x {image.height} pixels, "
            f"expected at least {least} x {least}"
        )
    left, top = (image.width - crop) // 2, (image.height - crop) // 2
    box = (left, top, left + crop, top + crop)
    # The image is cropped first, since scaling a box of it mixes in pixels from outside.
    return image.crop(box).resize((size, size), Image.Resampling.BILINEAR)
