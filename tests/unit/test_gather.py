"""Chains' files and gathered datasets."""

import errno
import fcntl
import os

import numpy as np
import pytest
import xarray as xr

from collapse.artifacts import chain_file, files
from collapse.artifacts.files import UnreadableFileError
from collapse.results import gather, provenance

SEEDS, ITERATIONS = [3, 1], [1, 2, 4]


def write(path, offset=0.0):
    metrics = {"error": np.arange(6.0).reshape(2, 3) + offset, "steps": np.array([7.0, np.nan])}
    chain_file.write_chain(
        path, metrics, seeds=SEEDS, iterations=ITERATIONS, identity={"n": 10, "offset": offset}
    )
    return metrics


def test_a_chain_reads_back_as_it_was_written(tmp_path):
    metrics = write(tmp_path / "chain.nc")
    read, seeds, identity = chain_file.read_chain(tmp_path / "chain.nc")
    assert seeds == SEEDS
    assert identity == {"n": 10, "offset": 0.0}
    assert read.keys() == metrics.keys()
    for name, array in metrics.items():
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.99])
def test_a_truncated_chain_is_damaged(tmp_path, share):
    path = tmp_path / "chain.nc"
    write(path)
    content = path.read_bytes()
    chain_file.check(path)
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(files.DamagedFileError, match=r"chain\.nc: damaged"):
        chain_file.check(path)
    with pytest.raises(files.DamagedFileError, match=r"chain\.nc: damaged"):
        chain_file.read_chain(path)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EAGAIN, errno.EIO, errno.ESTALE])
def test_a_chain_that_the_system_does_not_let_be_read_is_not_damaged(tmp_path, monkeypatch, number):
    path = tmp_path / "chain.nc"
    write(path)

    def refuse(*_):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(chain_file, "open", refuse, raising=False)
    with pytest.raises(UnreadableFileError) as error:
        gathered(path, tmp_path)
    assert str(error.value).startswith(f"{path}: can't be read ({os.strerror(number)})")
    assert "\n" not in str(error.value)
    assert os.listdir(tmp_path) == ["chain.nc"]


def test_a_chain_that_another_process_writes_is_not_damaged(tmp_path):
    """Not even if what is there of it is truncated."""
    path = tmp_path / "chain.nc"
    write(path)
    path.write_bytes(path.read_bytes()[:5000])
    with open(path) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UnreadableFileError, match="another process has it open for writing"):
            gathered(path, tmp_path)
        assert os.listdir(tmp_path) == ["chain.nc"]
    with pytest.raises(files.DamagedFileError):
        gathered(path, tmp_path)
    assert os.listdir(tmp_path) == ["chain.nc.damaged"]


def gathered(path, folder):
    """Gather one chain, as the rule does."""
    gather.write(
        folder / "metrics.nc",
        chains=[({}, str(path))],
        specifications=[{}],
        layout={"family": "gaussian"},
        study={},
        project=folder,
    )


def test_an_altered_number_is_found(tmp_path):
    path = tmp_path / "chain.nc"
    metrics = write(path, offset=0.123)
    content = bytearray(path.read_bytes())
    where = content.find(metrics["error"].tobytes())
    assert where > 0
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(files.DamagedFileError):
        chain_file.read_chain(path)


def test_a_file_of_something_else_is_damaged(tmp_path):
    xr.Dataset({"error": ("seed", [1.0])}).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(files.DamagedFileError):
        chain_file.read_chain(tmp_path / "other.nc")


def test_gathering_puts_every_chain_in_its_place(tmp_path):
    axes = {"bandwidth": [0.5, "scott"], "samples": [10, 20]}
    chains, place = [], {}
    for i, bandwidth in enumerate(axes["bandwidth"]):
        for j, samples in enumerate(axes["samples"]):
            for k, regime in enumerate(["replace", "accumulate"]):
                path = tmp_path / f"{i}{j}{k}.nc"
                place[str(bandwidth), samples, regime] = 100.0 * i + 10 * j + k
                write(path, place[str(bandwidth), samples, regime])
                cell = {"bandwidth": bandwidth, "samples": samples, "regime": regime}
                chains.append((cell, *chain_file.read_chain(path)[:2]))
    dataset = gather.combine(
        chains,
        axes=axes,
        regimes=["accumulate", "replace"],
        seeds=[1, 3],
        iterations=ITERATIONS,
        descriptions={"error": ("test error", "m"), "samples": ("n", "1")},
        attributes={"family": "f", "study": {"a": 1}},
    )
    gather.write_dataset(tmp_path / "metrics.nc", dataset)
    with xr.open_dataset(tmp_path / "metrics.nc") as read:
        assert read["error"].dims == ("regime", "bandwidth", "samples", "seed", "iteration")
        assert read["steps"].dims == ("regime", "bandwidth", "samples", "seed")
        assert list(read["bandwidth"].values) == ["0.5", "scott"]
        assert read["error"].attrs == {"long_name": "test error", "units": "m"}
        assert read.attrs["study"] == '{"a": 1}'
        for (bandwidth, samples, regime), offset in place.items():
            cell = read.sel(bandwidth=bandwidth, samples=samples, regime=regime)
            np.testing.assert_allclose(cell["error"].sel(seed=3), [0, 1, 2] + np.array(offset))
            np.testing.assert_allclose(cell["error"].sel(seed=1), [3, 4, 5] + np.array(offset))
            assert np.isnan(cell["steps"].sel(seed=1))


def test_a_checkout_knows_its_commit_and_another_folder_does_not(tmp_path):
    assert provenance.git_commit(tmp_path) == "unknown"
