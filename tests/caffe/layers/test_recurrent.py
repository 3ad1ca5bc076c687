"""RNN, LSTM, LSTMUnit."""

import numpy as np
import pytest
import reference
from gradient_check import Case, Layers, check_gradient, check_reference

CONT = np.array([[0, 1], [1, 1], [0, 1], [1, 0]])
FILLED = 'recurrent_param { num_output: 3 weight_filler { type: "uniform" } }'
STEPS = [(4, 2, 2), (4, 2)]


def with_static(x, static, weights):
    """The static input's share as one more input of every step."""
    joined = np.concatenate([x, np.broadcast_to(static, (len(x), *static.shape))], 2)
    return joined, np.concatenate(weights, 1)


def lstm(bottoms, params):
    x, cont, *static = bottoms
    w_x, b, *w_static, w_h = params
    if static:
        x, w_x = with_static(x, static[0], [w_x, w_static[0]])
    return reference.lstm(x, cont, w_x, b, w_h)[0]


def lstm_exposed(bottoms, params):
    x, cont, h, c = bottoms
    y, h, c = reference.lstm(x, cont, *params, h[0], c[0])
    return [y, h[None], c[None]]


def rnn(bottoms, params):
    x, cont, *static = bottoms
    w_xh, b_h, *w_static, w_hh, w_ho, b_o = params
    if static:
        x, w_xh = with_static(x, static[0], [w_xh, w_static[0]])
    return reference.rnn(x, cont, w_xh, b_h, w_hh, w_ho, b_o)


def unit(bottoms, params):
    c, gates, cont = (b[0] for b in bottoms)
    steps = [reference.lstm_unit(*each) for each in zip(c, gates, cont)]
    return [np.array(part)[None] for part in zip(*steps)]


# cont is 0 at the first step: else the state of the last forward would enter the next one
CASES = [
    Case(f'type: "LSTM" {FILLED}', STEPS, lstm, values={1: CONT * [[0], [1], [1], [1]]}),
    Case(f'type: "LSTM" {FILLED}', [*STEPS, (2, 3)], lstm, values={1: CONT * [[0], [1], [1], [1]]}),
    Case(f'type: "RNN" {FILLED}', STEPS, rnn, values={1: CONT * [[0], [1], [1], [1]]}),
    Case(f'type: "RNN" {FILLED}', [*STEPS, (2, 3)], rnn, values={1: CONT * [[0], [1], [1], [1]]}),
    Case('type: "LSTMUnit"', [(1, 3, 2), (1, 3, 8), (1, 3)], unit, values={2: [[0, 1, 1]]}, tops=2),
]
EXPOSED = Case(
    'type: "LSTM" recurrent_param { num_output: 3 expose_hidden: true }',
    [*STEPS, (1, 2, 3), (1, 2, 3)],
    lstm_exposed,
    values={1: CONT},
    tops=3,
)


@pytest.mark.parametrize("case", [*CASES, EXPOSED], ids=str)
def test_reference(case):
    check_reference(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient(case):
    check_gradient(case)


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_the_state_survives_until_cont_is_zero(kind):
    """Two forwards of two steps are one forward of four; cont 0 begins anew."""
    text = f'type: "{kind}" recurrent_param {{ num_output: 3 }}'
    long, short = Layers(text, STEPS), Layers(text, [(2, 2, 2), (2, 2)])
    long.randomize(-1, 1, {1: np.array([[0, 0], [1, 1], [1, 1], [1, 1]])})
    wanted = long.forward()[0]
    for blob, source in zip(short.params, long.params):
        blob.data[...] = source.data
    for part in (slice(0, 2), slice(2, 4)):
        for blob, source in zip(short.bottom, long.bottom):
            blob.data[...] = source.data[part]
        np.testing.assert_allclose(short.forward()[0], wanted[part], rtol=1e-5)
    short.bottom[0].data[...], short.bottom[1].data[...] = long.bottom[0].data[:2], [[0, 0], [1, 1]]
    np.testing.assert_allclose(short.forward()[0], wanted[:2], rtol=1e-5)


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_the_state_of_other_batch_sizes(kind):
    """As every blob it keeps its memory when it shrinks, and begins at 0 when it grows."""
    run = Layers(f'type: "{kind}" {FILLED}', [(1, 2, 2), (1, 2)])
    generator = run.randomize(-1, 1, {1: np.ones((1, 2))})
    x = generator.normal(size=(1, 2, 2))

    def forward(items):
        for blob, values in zip(run.bottom, (x[:, items], np.ones((1, len(items))))):
            blob.reshape(*values.shape)
            blob.data[...] = values
        return run.forward()[0].copy()

    first = forward([0, 1])
    second = forward([0])  # the first item goes on
    assert not np.allclose(second, first[:, :1])
    np.testing.assert_allclose(forward([1, 1, 1])[:, 0], first[:, 1], rtol=1e-5)  # all begin anew


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_lr_mult_0_spares_no_gradient(kind):
    run = Layers(f'type: "{kind}" {FILLED}', STEPS)
    run.layer.param_propagate_down = [False] * len(run.params)
    run.randomize(-1, 1, {1: CONT})
    run.forward()
    run.top[0].diff[...] = 1
    run.backward([False, False])
    assert all(blob.diff.any() for blob in run.params)


def test_exposed_states_get_no_gradient():
    run, _ = EXPOSED.run()
    run.forward()
    for blob in run.bottom[2:]:
        blob.diff[...] = 5
    run.backward([True, False, True, True])
    assert all((blob.diff == 5).all() for blob in run.bottom[2:])


@pytest.mark.parametrize(
    "text, shapes, message",
    [
        ('"LSTM"', STEPS, "num_output must be given"),
        (f'"LSTM" {FILLED}', [(4, 2, 2), (4, 3)], "x \\(T, N, ...\\) and cont \\(T, N\\)"),
        (f'"RNN" {FILLED}', [*STEPS, (3, 2)], "one item for each of 2 sequences"),
        (f'"RNN" {FILLED}', [*STEPS, (2, 2), (2, 2)], "got 4 bottoms"),
        ('"LSTMUnit"', [(1, 3, 2), (1, 3, 6), (1, 3)], "gates \\(1, N, 4H\\)"),
    ],
)
def test_bad_settings(text, shapes, message):
    with pytest.raises(ValueError, match=f"layer 'l' .*{message}"):
        Layers(f"type: {text}", shapes, tops=2 if "Unit" in text else 1)
