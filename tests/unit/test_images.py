"""Real images: every source, what is made of them, their shards, and bad input in one line."""

import io
import re
import shutil
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from PIL import Image

pytest.importorskip("sklearn")

import pictures
from collapse.artifacts.files import DamagedFileError
from collapse.data.images import shards as image_shards
from collapse.data.images import sources as images
from collapse.data.images.decoding import Scaling, decode
from collapse.errors import DataError


def opened(source, **options):
    return images.collection(str(source), **{"size": None, **options})


def arrays(split, limit=None):
    return np.stack([one.image for one in split.read(limit)])


# Sources.


def test_digits_are_those_of_scikit_learn_and_split_once():
    from sklearn.datasets import load_digits

    found = opened("digits")
    assert (found.train.length, found.test.length) == (1438, 359)
    assert found.classes == tuple("0123456789")
    everything = np.concatenate([arrays(found.train), arrays(found.test)])
    assert everything.shape == (1797, 8, 8, 1) and everything.max() == 255
    levels = np.sort(np.unique(load_digits().images))
    assert len(np.unique(everything)) == len(levels) == 17
    expected = np.round(load_digits().images * 255 / 16).astype(np.uint8)
    assert sorted(map(bytes, everything)) == sorted(map(bytes, expected))
    # All classes are in both, about as often.
    for split in (found.train, found.test):
        counts = np.bincount([one.label for one in split.read()])
        assert counts.min() > 0.6 * counts.max()
    again = arrays(opened("digits").test)
    assert np.array_equal(again, arrays(found.test))


def test_a_folder_is_read_split_by_split(tmp_path):
    pictures.folder(tmp_path, train=5, test=3)
    (tmp_path / "train" / ".hidden").write_text("")
    found = opened(tmp_path)
    assert (found.train.length, found.test.length, found.classes) == (5, 3, ())
    expected = np.stack([pictures.image(number) for number in range(8)])
    assert np.array_equal(np.concatenate([arrays(found.train), arrays(found.test)]), expected)
    assert {one.label for one in found.train.read()} == {None}


def test_folders_within_a_split_are_classes(tmp_path):
    pictures.folder(tmp_path, train=6, test=4, classes=("cat", "ant"))
    found = opened(tmp_path)
    assert found.classes == ("ant", "cat")
    assert [one.label for one in found.train.read()] == [0, 0, 0, 1, 1, 1]
    assert np.array_equal(arrays(found.train)[3], pictures.image(0))


def test_a_limit_takes_images_at_even_distances(tmp_path):
    pictures.folder(tmp_path, train=10, test=2)
    found = arrays(opened(tmp_path).train, 5)
    assert np.array_equal(found, np.stack([pictures.image(number) for number in range(0, 10, 2)]))
    assert len(arrays(opened(tmp_path).train, 99)) == 10


def test_images_are_cropped_to_a_square_and_scaled_down(tmp_path):
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:70] = (200, 100, 50)  # the central square
    pictures.save(tmp_path / "wide.png", pixels)
    found = decode(tmp_path / "wide.png", "wide", Scaling(size=8))
    assert found.shape == (8, 8, 3)
    assert (found == (200, 100, 50)).all()
    pictures.save(tmp_path / "checks.png", np.indices((16, 16)).sum(0)[..., None].astype(np.uint8))
    found = decode(tmp_path / "checks.png", "checks", Scaling(size=4))
    assert found[0, 0, 0] < found[1, 1, 0] < found[3, 3, 0]


def test_celeba_has_its_own_partition_crop_and_attributes(tmp_path):
    pictures.celeba(tmp_path, train=6, validation=2, test=3)
    found = opened(f"celeba:{tmp_path}", label="Male")
    assert (found.train.length, found.test.length) == (6, 3)
    assert found.classes == ("no Male", "Male")
    assert [one.label for one in found.train.read()] == [1, 0, 1, 0, 1, 0]
    assert [one.label for one in found.test.read()] == [1, 0, 1]
    first = next(found.train.read()).image
    assert first.shape == (64, 64, 3)
    # Rows 35 to 183 of 218 are left, of a ramp from 0 to 200.
    assert int(first[0, 0, 1]) == pytest.approx(200 * 35 / 217, abs=3)
    assert int(first[-1, 0, 1]) == pytest.approx(200 * 182 / 217, abs=3)
    # The test images are those after the validation images.
    assert int(next(found.test.read()).image[0, 0, 0]) == pytest.approx(20 * 9, abs=4)
    assert opened(f"celeba:{tmp_path}").classes == ()
    assert arrays(opened(f"celeba:{tmp_path}", size=32).test).shape[1:3] == (32, 32)


def test_folders_may_be_in_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    pictures.folder(tmp_path / "squares", train=2, test=2)
    pictures.celeba(tmp_path / "faces", train=3)
    assert opened("~/squares").train.length == 2
    assert opened("celeba:~/faces").train.length == 3


def encoded(pixels):
    """Return the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "PNG")
    return file.getvalue()


def hub_of(last=None, **splits):
    """Put a data set with a number of images in each split in place of those of the Hub.

    ``last`` are other values of the last row of each split.
    """
    import datasets

    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["even", "odd"]),
            "bright": datasets.Value("bool"),
            "text": datasets.Value("string"),
        }
    )
    found = datasets.DatasetDict()
    for split, count in splits.items():
        files = [{"bytes": encoded(pictures.image(n)), "path": None} for n in range(count)]
        rows = [
            {"image": file, "label": n % 2, "bright": n % 3 == 0, "text": "a"}
            for n, file in enumerate(files)
        ]
        rows[-1] |= last or {}
        found[split] = datasets.Dataset.from_list(rows, features=features)
    return mock.patch("datasets.load_dataset", return_value=found)


def test_a_data_set_of_the_hub():
    with hub_of(train=5, validation=2, test=3):
        found = opened("hub:owner/name")
        bright = opened("hub:owner/name", label="bright")
    assert (found.train.length, found.test.length) == (5, 3)
    assert found.classes == ("even", "odd") and bright.classes == ("no bright", "bright")
    assert [one.label for one in found.train.read()] == [0, 1, 0, 1, 0]
    assert [one.label for one in bright.test.read()] == [1, 0, 0]
    assert np.array_equal(arrays(found.train), np.stack([*map(pictures.image, range(5))]))


@pytest.mark.parametrize(
    ("last", "options", "said"),
    [
        ({"label": None}, {}, "found None in 'label', expected a class"),
        ({"label": -1}, {}, "found -1 in 'label', expected a class"),
        ({"bright": None}, {"label": "bright"}, "found None in 'bright', expected a class"),
        ({"image": None}, {}, "found null in 'image', expected an image"),
    ],
)
def test_a_row_of_the_hub_without_image_or_class_is_refused_with_its_number(last, options, said):
    with hub_of(last, train=5, test=3):
        found = opened("hub:owner/name", **options)
    with pytest.raises(DataError, match=f"^hub:owner/name, image 4: {said}"):
        list(found.train.read())


def test_celeba_may_come_from_the_hub():
    with hub_of(train=2, test=2) as loaded:
        found = opened("celeba", size=4)
        loaded.assert_called_once_with("flwrlabs/celeba")
        with pytest.raises(DataError, match="image 0: found 8 x 8 pixels, expected at least 148"):
            arrays(found.train)


# Bad input: one line that names the file.


OTHERS = "expected 8 x 8 pixels in grey as in .*0000.png"
FILES = {
    "truncated": ("train/0003.png", encoded(pictures.image(3))[:-40], "can't be read as an image"),
    "garbage": ("train/0003.png", b"not an image", "can't .* \\(cannot identify image file"),
    "empty": ("test/0062.png", b"", "can't be read as an image"),
    "size": ("train/7.png", encoded(pictures.image(7, size=16)), f"found 16 x 16 .* {OTHERS}"),
    "mode": ("train/7.png", encoded(pictures.image(7, channels=3)), f"found 8 .* RGB, {OTHERS}"),
    "transparent": ("train/0.png", encoded(np.zeros((8, 8, 4), "u1")), "found mode RGBA, expected"),
    "deep": ("train/0.png", encoded(np.zeros((8, 8), "u2")), "found mode I;16, expected L or RGB"),
    "other": ("train/notes.txt", b"", "found no image, expected one of .png"),
}


def smooth(size=128):
    """Return pixels of squares of 8 x 8, which JPEG keeps well."""
    colours = np.random.default_rng(5).integers(0, 256, (size // 8, size // 8, 3), np.uint8)
    return np.kron(colours, np.ones((8, 8, 1), np.uint8))


def saved(pixels, kind, more=(), **options):
    """Return the bytes of a file with an image, and maybe more of them."""
    file = io.BytesIO()
    rest = {"save_all": True, "append_images": [Image.fromarray(one) for one in more]}
    Image.fromarray(pixels).save(file, kind, **options, **(rest if more else {}))
    return file.getvalue()


def without(content, begin, count):
    """Return a file without some bytes in the middle, where ``begin`` is a share of its length."""
    at = int(begin * len(content))
    return content[:at] + content[at + count :]


#: Options of JPEG that change how its data is laid out, and other kinds.
KINDS = {
    "JPEG": ("JPEG", {"quality": 95}),
    "small JPEG": ("JPEG", {"quality": 60}),
    "progressive": ("JPEG", {"quality": 95, "progressive": True}),
    "restarts": ("JPEG", {"quality": 95, "restart_marker_rows": 1}),
    "grey": ("JPEG", {"quality": 95}),
    "PNG": ("PNG", {}),
    "WebP": ("WEBP", {}),
    "TIFF": ("TIFF", {"compression": "tiff_lzw"}),
    "BMP": ("BMP", {}),
    "PPM": ("PPM", {}),
}
DAMAGE = {
    "1000 bytes are missing": lambda content: without(content, 0.4, 1000),
    "200 bytes are missing": lambda content: without(content, 0.5, 200),
    "cut": lambda content: content[: len(content) // 2],
    "cut with an end marker behind": lambda content: content[: len(content) // 2] + b"\xff\xd9",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", KINDS)
def test_an_image_that_is_not_all_there_is_refused(name, damage):
    kind, options = KINDS[name]
    pixels = smooth()[..., 0] if name == "grey" else smooth()
    content = saved(pixels, kind, **options)
    whole = decode(io.BytesIO(content), "some", Scaling())
    assert np.abs(whole.squeeze().astype(int) - pixels).mean() < 20
    with pytest.raises(DataError, match="some: can't be read as an image") as refused:
        decode(io.BytesIO(DAMAGE[damage](content)), "some", Scaling())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"restart_marker_blocks": 3},
        {"optimize": True},
        {"subsampling": 0},
    ],
    ids=str,
)
def test_sound_jpegs_are_read_whatever_is_in_them(options):
    grey = np.full((40, 33, 3), 128, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (33, 40, 3), np.uint8)
    half = np.concatenate([noise, np.full_like(noise, 128)])
    for pixels in (grey, noise, half, smooth(64), np.zeros((1, 1, 3), np.uint8)):
        for quality in (20, 75, 100):
            content = saved(pixels, "JPEG", quality=quality, comment=b"\xff\xda\xff\xd9", **options)
            for same in (content, content + b"\0" * 50, content[:-2] + b"\xff\xff\xff\xd9"):
                found = decode(io.BytesIO(same), "some", Scaling())
                assert np.array_equal(found, np.asarray(Image.open(io.BytesIO(content))))


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "PNG", "MPO", "PPM"])
def test_a_file_with_several_images_is_refused(kind):
    pixels = smooth(64)
    content = 2 * saved(pixels, kind) if kind == "PPM" else saved(pixels, kind, [255 - pixels])
    with pytest.raises(DataError, match=r"found 2 images in the file|has less .* or more"):
        decode(io.BytesIO(content), "some", Scaling())


def refuses(tmp_path, named, said):
    with pytest.raises(DataError, match=rf"^{re.escape(str(named))}: {said}") as refused:
        found = opened(tmp_path)
        arrays(found.train)
        arrays(found.test)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path, name):
    path, content, said = FILES[name]
    file = pictures.folder(tmp_path) / path
    file.write_bytes(content)
    refuses(tmp_path, file, said)


def test_a_folder_without_images_of_both_splits_is_refused_in_one_line(tmp_path):
    root = pictures.folder(tmp_path / "images")
    for split in ("train", "test"):
        folder = (root / split).rename(tmp_path / "aside")
        refuses(root, root, f"found no {split} split, expected folders train and test")
        (root / split).mkdir()
        refuses(root, root / split, "found no images, expected some of .png")
        shutil.rmtree(root / split)
        folder.rename(root / split)
    (root / "train" / "cats").mkdir()
    refuses(root, root / "train", r"found both images \(0000.png\) and folders \(cats\)")


FOLDERS = {
    "another split": ("extra/0.png", r"extra: found another file or folder, expected folders"),
    "beside the splits": ("0.png", r"0.png: found another file or folder, expected folders train"),
    "two names": ("dev/0.png val/0.png", r"found dev and val, expected one of them"),
    "archive": ("train/a.zip", r"a.zip: found no image"),
    "partial": ("train/0.png.part", r"0.png.part: found no image"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_no_image_of_a_split_is_refused_by_its_name(tmp_path, name):
    paths, said = FOLDERS[name]
    pictures.folder(tmp_path)
    for path in paths.split():
        pictures.save(tmp_path / "some.png", pictures.image(0))
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / "some.png").rename(tmp_path / path)
    with pytest.raises(DataError, match=said) as refused:
        opened(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("test", ["test", "validation", "valid", "val", "dev", "Val"])
def test_every_usual_name_of_a_test_split_is_understood(tmp_path, test):
    pictures.folder(tmp_path)
    (tmp_path / "test").rename(tmp_path / test)
    (tmp_path / "README.md").write_text("squares")
    (tmp_path / "train" / "Thumbs.db").write_text("")
    assert (opened(tmp_path).train.length, opened(tmp_path).test.length) == (60, 20)


def test_classes_must_be_the_same_in_both_splits(tmp_path):
    pictures.folder(tmp_path, classes=("a", "b"))
    (tmp_path / "test" / "b").rename(tmp_path / "test" / "c")
    with pytest.raises(DataError, match=r"found class b in one of train and test alone"):
        opened(tmp_path)
    (tmp_path / "test" / "c").rename(tmp_path / "test" / "b")
    (tmp_path / "train" / "a" / "inner").mkdir()
    with pytest.raises(DataError, match=r"train/a: found a folder inner, expected the images"):
        opened(tmp_path)


PARTITION, ATTRIBUTES = "list_eval_partition.txt", "list_attr_celeba.txt"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (PARTITION, None, None, f"found no {PARTITION}, expected CelebA's img_align_celeba and"),
        (
            PARTITION,
            "11.jpg 2",
            "11.jpg 2\n000012.jpg 3",
            f"{PARTITION}: line 12: found '000012.jpg 3', expected a file and one of 0, 1, 2",
        ),
        (PARTITION, ".jpg 2", ".jpg 0", f"{PARTITION}: found no test images, expected 2"),
        (
            ATTRIBUTES,
            None,
            None,
            f"{ATTRIBUTES}: found no such file, expected it for the label Male",
        ),
        (
            ATTRIBUTES,
            "2.jpg  -1 -1",
            "2.jpg -1",
            f"{ATTRIBUTES}: line 4: found '.*', expected a file and 2 times 1 or -1",
        ),
        (ATTRIBUTES, "000002.jpg  -1 -1\n", "", f"{ATTRIBUTES}: found no 000002.jpg, expected"),
        (PARTITION, "11.jpg 2", "11.jpg 2\n000001.jpg 0", "line 12: found 000001.jpg again"),
        (PARTITION, "000011.jpg 2\n", "", "000011.jpg: found a file that is not in list_eval"),
        ("img_align_celeba/000002.jpg", None, None, "000002.jpg: can't be read as .*No such file"),
    ],
)
def test_a_celeba_that_is_not_as_distributed_is_refused_in_one_line(tmp_path, file, old, new, said):
    damaged = pictures.celeba(tmp_path) / file
    if old is None:
        damaged.unlink()
    else:
        damaged.write_text(damaged.read_text().replace(old, new))
    with pytest.raises(DataError, match=rf"^{re.escape(str(tmp_path))}.*{said}") as refused:
        arrays(opened(f"celeba:{tmp_path}", label="Male").train)
    assert "\n" not in str(refused.value)


def test_an_attribute_that_is_none_is_refused_with_those_there_are(tmp_path):
    pictures.celeba(tmp_path)
    with pytest.raises(DataError, match="found Male, Smiling, expected the attribute Hat"):
        opened(f"celeba:{tmp_path}", label="Hat")


@pytest.mark.parametrize(
    ("splits", "options", "said"),
    [
        ({"train": 2}, {}, "found the splits train, expected one of test"),
        ({"train": 2, "test": 2}, {"column": "img"}, "found the columns image, .*, expected img"),
        (
            {"train": 2, "test": 2},
            {"column": "text"},
            "found Value in the column text, expected images",
        ),
        ({"train": 2, "test": 2}, {"label": "hat"}, "found the columns image, .*, expected hat"),
        (
            {"train": 2, "test": 2},
            {"label": "text"},
            "found .* in the column text, expected classes",
        ),
    ],
)
def test_a_data_set_of_the_hub_that_does_not_fit_is_refused(tmp_path, splits, options, said):
    with hub_of(**splits), pytest.raises(DataError, match=f"^hub:owner/name: {said}"):
        opened("hub:owner/name", **options)


# Shards.


@pytest.mark.parametrize("channels", [1, 3])
def test_shards_give_back_what_was_written(tmp_path, monkeypatch, channels):
    monkeypatch.setattr(image_shards, "GROUP", 4 * 64 * channels)
    expected = np.stack([pictures.image(number, channels=channels) for number in range(30)])
    path = tmp_path / "shard.parquet"
    written = ((image, number % 3) for number, image in enumerate(expected))
    assert image_shards.write(path, written, (8, 8, channels)) == 30
    file = parquet.ParquetFile(path)
    assert file.num_row_groups == 8 and file.metadata.num_rows == 30
    assert np.array_equal(np.concatenate([*image_shards.read(path)]), expected)
    rows = np.array([0, 3, 4, 17, 29])
    assert np.array_equal(np.concatenate([*image_shards.read(path, rows)]), expected[rows])
    assert image_shards.read_labels(path).tolist() == [number % 3 for number in range(30)]


def test_shards_without_labels_have_none(tmp_path):
    path = tmp_path / "shard.parquet"
    image_shards.write(path, ((pictures.image(n), None) for n in range(3)), (8, 8, 1))
    assert image_shards.read_labels(path) is None


def test_other_files_are_no_shards_of_images(tmp_path):
    path = tmp_path / "other.parquet"
    parquet.write_table(pa.table({"image": [b"1234"]}), path)
    with pytest.raises(DamagedFileError, match=r"other.parquet: no shape of images in its"):
        [*image_shards.read(path)]
    schema = pa.schema([("image", pa.binary())], metadata={"shape": "2,2,1"})
    parquet.write_table(pa.table({"image": [b"1234"]}, schema=schema), path)
    with pytest.raises(
        DamagedFileError, match=r"found binary, expected images of shape \(2, 2, 1\)"
    ):
        [*image_shards.read(path)]
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DamagedFileError, match="can't be read as Parquet"):
        [*image_shards.read(path)]


def test_stored_images_are_read_by_place_from_disk(tmp_path):
    expected = np.stack([pictures.image(number) for number in range(20)])
    image_shards.store([expected[:7], expected[7:]], tmp_path / "scratch" / "images.bin")
    stored = image_shards.Stored(tmp_path / "scratch" / "images.bin", (8, 8, 1))
    assert stored.length == 20
    rows = np.array([19, 0, 7, 7])
    found = stored.at(rows)
    assert np.array_equal(found, expected[rows])
    # A copy, not a view of the file.
    found[:] = 0
    assert np.array_equal(stored.at(rows), expected[rows])
    with pytest.raises(
        DamagedFileError, match=r"found \(8, 8, 3\), expected the shape \(8, 8, 1\)"
    ):
        image_shards.store([expected, np.repeat(expected, 3, axis=3)], tmp_path / "images.bin")
