"""FCN-8s in stages: run one by one they are the net; schedules run those that they should."""

import numpy as np
import pytest
from narrow import filled

import caffe
from fcn import clockwork, models
from fcn.clockwork import FUSION, Clockwork
from fcn.datasets.sample import sequences
from fcn.prototxts import read_net

DEPLOY = models.folder("voc-fcn8s", sample=True) / "deploy.prototxt"
RNG = np.random.RandomState(0)
FRAMES = [RNG.uniform(-100, 100, (3, 50, 60)).astype(np.float32) for _ in range(4)]


def clock_of(schedule):
    clock = Clockwork(read_net(DEPLOY), None, schedule)
    filled(clock.net)
    return clock


def scores(clock, frames):
    found = []
    for frame in frames:
        clock(frame)
        found.append(clock.net.blobs["score"].data.copy())
    return found


@pytest.fixture(scope="module")
def whole():
    return scores(clock_of(clockwork.full), FRAMES)


def test_stages_one_after_the_other_are_the_net(whole):
    by_stages = scores(clock_of(lambda clock: clock.update(0, 1, 2, FUSION)), FRAMES)
    assert all(map(np.array_equal, by_stages, whole))


def test_a_stage_that_does_not_run_leaves_its_scores(whole):
    clock = clock_of(clockwork.alternating)
    found = scores(clock, FRAMES)
    assert np.array_equal(found[0], whole[0]) and np.array_equal(found[2], whole[2])
    assert not np.array_equal(found[1], whole[1]) and clock.updates == [4, 4, 2, 4]


def test_a_pipeline_s_deepest_stage_reads_the_frame_before(whole):
    clock = clock_of(clockwork.two_stages)
    still = scores(clock, [FRAMES[0], FRAMES[0], FRAMES[1]])
    assert np.array_equal(still[1], whole[0]) and not np.array_equal(still[2], whole[1])
    blobs = clock.net.blobs
    of_before = blobs["upscore2"].data.copy()
    clock(FRAMES[0])  # reads what the second picture said
    assert not np.array_equal(blobs["upscore2"].data, of_before)
    clock(FRAMES[0])
    assert np.array_equal(blobs["upscore2"].data, of_before)


def test_every_other_frame_keeps_what_was(whole):
    clock = clock_of(clockwork.every_other)
    found = scores(clock, FRAMES)
    assert np.array_equal(found[1], whole[0]) and np.array_equal(found[3], whole[2])
    assert clock.updates == [2, 2, 2, 2]


def test_an_adaptive_clock_runs_the_deepest_stage_where_much_has_changed(whole):
    clock = clock_of(clockwork.adaptive(0.01))
    found = scores(clock, [FRAMES[0], FRAMES[0], FRAMES[1]])
    assert clock.updates == [3, 3, 2, 3]
    assert np.array_equal(found[0], whole[0]) and np.array_equal(found[2], whole[1])
    lazy = clock_of(clockwork.adaptive(1))
    scores(lazy, FRAMES)
    assert lazy.updates == [4, 4, 1, 4]


def test_frames_of_another_size_begin_a_video_anew():
    clock = clock_of(clockwork.every_other)
    clock(FRAMES[0])
    assert clock(FRAMES[1][:, :40]).shape == (40, 60) and clock.updates[0] == 2


def test_nets_and_names_that_have_no_stages():
    with pytest.raises(ValueError, match="no layer score_pool3: take voc-fcn8s"):
        clockwork.staged(read_net(models.prototxt_of("voc-fcn16s", True)))
    assert clockwork.named("pipeline") is clockwork.two_stages
    for name in ("fast", "adaptive:much"):
        with pytest.raises(ValueError, match=name):
            clockwork.named(name)


@pytest.mark.parametrize("draw", [sequences.panned, sequences.moving, sequences.one_moving])
def test_videos_move_by_so_many_pixels(draw):
    video = draw(np.random.RandomState(4), "infer", 3, 5)
    assert [(p.shape, p.dtype, c.shape) for p, c in video] == [
        ((180, 240, 3), "uint8", (180, 240))
    ] * 3
    (first, labels), (second, later) = video[:2]
    if draw is sequences.panned:
        assert np.array_equal(first[:, 5:], second[:, :-5]) and np.array_equal(
            labels[:, 5:], later[:, :-5]
        )
    else:
        upper = np.s_[:80]
        assert np.array_equal(labels[upper][:, :-5], later[upper][:, 5:])
        assert (first != second).any() and (first == second).mean() > 0.5


def test_the_net_s_own_names_are_there():
    clock = clock_of(clockwork.full)
    assert clock.inputs == ["data"] and isinstance(clock.net, caffe.Net)
