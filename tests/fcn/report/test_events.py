"""TensorBoard's event files, and that nothing happens without it."""

import pytest

from fcn.report import events


def test_without_tensorboard_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(events, "INSTALLED", False)
    written = events.Events(tmp_path)
    written.scalar("loss/per pixel", 1.0, 1)
    written.flush()
    written.close()
    assert not list(tmp_path.iterdir())


def test_tensorboard_reads_the_curve(tmp_path):
    pytest.importorskip(
        "tensorboard", reason="tensorboard is not installed: fcn-caffe[tensorboard]"
    )
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    written = events.Events(tmp_path)
    for step in range(3):
        written.scalar("loss/per pixel", 1 / (step + 1), step)
    written.close()
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1
    reader = EventAccumulator(str(tmp_path))
    reader.Reload()
    found = [(e.step, e.tensor_proto.float_val[0]) for e in reader.Tensors("loss/per pixel")]
    assert found == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
