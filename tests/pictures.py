"""Write small images as files, in the layouts of the sources of images."""

from pathlib import Path

import numpy as np
from PIL import Image


def image(number, size=8, channels=1):
    """Return a bright square on a dark ground, further to the right for a higher number."""
    generator = np.random.default_rng(number)
    pixels = generator.integers(0, 60, (size, size, channels)).astype(np.uint8)
    left = number % (size // 2)
    pixels[size // 4 : 3 * size // 4, left : left + size // 2] += 180
    return pixels


def save(path: Path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)


def folder(root: Path, train=60, test=20, size=8, channels=1, classes=()):
    """Write images, numbered throughout, into the folders train and test, with classes in turn."""
    for number in range(train + test):
        split = "train" if number < train else "test"
        inner = Path(classes[number % len(classes)]) if classes else Path()
        save(root / split / inner / f"{number:04}.png", image(number, size, channels))
    return root


def celeba(root: Path, train=6, validation=2, test=3):
    """Write images of CelebA's size in its layout."""
    parts = [0] * train + [1] * validation + [2] * test
    lines, rows = [], [str(len(parts)), "Male Smiling"]
    for number, part in enumerate(parts, start=1):
        pixels = np.zeros((218, 178, 3), np.uint8)
        pixels[...] = np.linspace(0, 200, 218).astype(np.uint8)[:, None, None]
        pixels[..., 0] = 20 * number
        save(root / "img_align_celeba" / f"{number:06}.jpg", pixels)
        lines.append(f"{number:06}.jpg {part}")
        rows.append(f"{number:06}.jpg  {1 if number % 2 else -1} -1")
    (root / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    (root / "list_attr_celeba.txt").write_text("\n".join(rows) + "\n")
    return root
