"""One image file as an array of 8 bits, cropped and scaled down if asked for."""

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
    """What is made of an image: its central square of ``crop`` pixels, scaled down to ``size``.

    Without a crop the largest square; without a size the image as it is.
    """

    size: int | None = None
    crop: int | None = None


def decode(file: Path | IO[bytes], where: str, scaling: Scaling) -> NDArray[np.uint8]:
    """Decode an image.

    Parameters
    ----------
    file : path or binary file
    where : str
        What errors call it.
    scaling : Scaling

    Returns
    -------
    ndarray of uint8, shape (height, width, channels)

    Raises
    ------
    DataError
        If it can't be read to its end, is neither grey nor RGB, or is smaller than asked for.
    """
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened)  # loads all of it
    except Exception as error:  # damage may show as anything
        raise DataError(f"{where}: can't be read as an image ({in_one_line(error)})") from None
    if image.mode not in MODES:
        raise DataError(f"{where}: mode {image.mode}; expected {' or '.join(MODES)}")
    if scaling.size is not None:
        image = _scaled(image, where, scaling.size, scaling.crop or min(image.size))
    return np.asarray(image).reshape(image.height, image.width, MODES[image.mode])


def _scaled(image: Image.Image, where: str, size: int, crop: int) -> Image.Image:
    least = max(size, crop)
    if min(image.size) < least:
        raise DataError(
            f"{where}: {image.width} x {image.height} pixels; expected at least {least} x {least}"
        )
    left, top = (image.width - crop) // 2, (image.height - crop) // 2
    box = (left, top, left + crop, top + crop)
    # Cropped first: a scaling within a box mixes in pixels of its surroundings.
    return image.crop(box).resize((size, size), Image.Resampling.BILINEAR)
