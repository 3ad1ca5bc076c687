"""MatWrite and MatRead: what one writes the other reads, in MATLAB's order of axes."""

import numpy as np
import pytest
import scipy.io
from gradient_check import Layers

VALUES = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Nets write below the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def names(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("one.png\ntwo.png\n")
    return path


def write(folder, settings, passes=1):
    run = Layers(
        f'type: "MatWrite" mat_write_param {{ prefix: "{folder}/" {settings} }}',
        [VALUES.shape, (2, 3)],
        tops=0,
    )
    for i in range(passes):
        run.bottom[0].data[...] = VALUES + i
        run.forward()
    return run


def test_files_and_axes(tmp_path):
    write(tmp_path, "period: 2", passes=3)
    found = sorted(path.name for path in tmp_path.glob("*.mat"))
    assert found == [f"iter_{k}_blob_{i}.mat" for k in (0, 2) for i in (0, 1)]
    array = scipy.io.loadmat(tmp_path / "iter_2_blob_0.mat")["data"]
    assert array.shape == (5, 4, 3, 2) and array.dtype == np.float32
    np.testing.assert_array_equal(array[1, 2, 0, 1], VALUES[1, 0, 2, 1] + 2)


def test_what_is_written_is_read(tmp_path, names):
    write(tmp_path, f'source: "{names}" strip: 4', passes=2)
    run = Layers(
        f'type: "MatRead" mat_read_param {{ prefix: "{tmp_path}/" source: "{names}" strip: 4 }}',
        tops=2,
    )
    assert [list(blob.shape) for blob in run.top] == [[2, 3, 4, 5], [2, 3, 1, 1]]
    for wanted in (VALUES, VALUES + 1, VALUES):
        np.testing.assert_array_equal(run.forward()[0], wanted)
    both = Layers(
        f"""type: "MatRead" mat_read_param {{ prefix: "{tmp_path}/" source: "{names}" strip: 4
        batch_size: 2 }}"""
    )
    np.testing.assert_array_equal(both.forward()[0], np.concatenate([VALUES, VALUES + 1]))


def test_no_gradient(tmp_path):
    run = write(tmp_path, "")
    run.bottom[0].diff[...] = 7
    run.backward([True, False])
    assert not run.bottom[0].diff.any()


def test_bad_settings(tmp_path, names):
    with pytest.raises(ValueError, match="period must be above 0"):
        write(tmp_path, "period: 0")
    with pytest.raises(ValueError, match="source, the list of names: .*no.txt"):
        write(tmp_path, 'source: "no.txt"')
    with pytest.raises(ValueError, match="strip must not be negative"):
        write(tmp_path, f'source: "{names}" strip: -1')
    with pytest.raises(ValueError, match="cannot write .*nowhere"):
        write(tmp_path / "nowhere", "")
    text = f'type: "MatRead" mat_read_param {{ prefix: "{tmp_path}/" source: "{names}" %s }}'
    with pytest.raises(ValueError, match="cannot read .*one.png_blob_0.mat"):
        Layers(text % "")
    with pytest.raises(ValueError, match="batch_size must be above 0"):
        Layers(text % "batch_size: 0")
    names.write_text("\n")
    with pytest.raises(ValueError, match="lists no names"):
        Layers(text % "")
