"""Decoding of an image file to an array of 8 bits, cropped and scaled down if asked for."""

from __future__ import annotations

from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from collapse.errors import DataError, in_one_line

#: Grey and colour images, 8 bits a channel.
MODES = {"L": 1, "RGB": 3}


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
        If the image can't be read to its end, is neither grey nor RGB, or is too small.
    """
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened)  # reads the file to its end
    except Exception as error:  # damage raises errors of many types
        raise DataError(f"{where}: can't be read as an image ({in_one_line(error)})") from None
    if image.mode not in MODES:
        raise DataError(f"{where}: found mode {image.mode}, expected {' or '.join(MODES)}")
    if scaling.size is not None:
        image = _scaled(image, where, scaling.size, scaling.crop or min(image.size))
    return np.asarray(image).reshape(image.height, image.width, MODES[image.mode])


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
