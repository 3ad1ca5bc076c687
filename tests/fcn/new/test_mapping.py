"""What --map leaves out is never guessed; what 255 is where masks come from two programs."""

from pathlib import Path

import pytest

from fcn.new.mapping import Unclear, decide, propose
from fcn.new.reading import Tally


def seen(*masks):
    """Tallies of masks, each given as the keys that it holds."""
    keys = sorted({key for mask in masks for key in mask}, key=str)
    held = {k: [Path(f"{n}.png") for n, mask in enumerate(masks) if k in mask] for k in keys}
    return {key: Tally(100 * len(paths), paths) for key, paths in held.items()}


@pytest.mark.parametrize(
    "masks, maps, lacking",
    [
        ([(0, 1, 2)] * 4, {1: "cell", 77: "foo"}, "  2 "),
        ([((0, 0, 0), (9, 9, 9), (200, 0, 0))] * 4, {(0, 0, 0): 0, (9, 9, 9): 1}, "200,0,0"),
        ([(7, 9, 11)] * 4, {7: 0, 9: 1}, " 11 "),
    ],
)
def test_a_key_that_map_leaves_out_is_told(masks, maps, lacking):
    with pytest.raises(Unclear) as error:
        decide(seen(*masks), maps=maps)
    assert "that no class has" in str(error.value) and lacking in str(error.value)


def test_zero_is_background_if_map_names_the_others():
    found = decide(seen(*[(0, 255)] * 4), maps={255: 1})
    assert found.of == {0: 0, 255: 1}
    assert decide(seen(*[(0, 1, 2, 254)] * 4), maps={254: 255}).of == {0: 0, 1: 1, 2: 2, 254: 255}


def test_masks_of_two_programs():
    """Half are 0 and 1, half 0 and 255: 255 may be the object."""
    mixed = seen(*[(0, 1)] * 6, *[(0, 255)] * 6)
    with pytest.raises(Unclear, match="No mask holds 255 beside another object"):
        decide(mixed)
    assert "void" not in propose(mixed).values()
    borders = seen(*[(0, 1)] * 6, *[(0, 1, 255)] * 6)
    assert decide(borders).of[255] == 255


def test_greys_are_classes_and_255_too():
    assert propose(seen(*[(0, 128, 255)] * 4)) == {0: "0", 128: "1", 255: "2"}
    assert propose(seen(*[(0, 1, 255, 7)] * 4))[255] == "void"


def test_a_star_is_all_others():
    found = decide(seen(*[(0, 3, 9, 255)] * 4), maps={0: "ground", "*": "cell", 9: 255})
    assert found.names == ("ground", "cell") and found.of == {0: 0, 3: 1, 9: 255, 255: 1}
