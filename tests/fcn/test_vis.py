"""VOC's colours, as its development kit lists them, and the overlay's arithmetic."""

import numpy as np

from fcn import vis

VOC_COLOURS = {
    0: (0, 0, 0),
    1: (128, 0, 0),  # aeroplane
    2: (0, 128, 0),
    3: (128, 128, 0),
    4: (0, 0, 128),
    8: (64, 0, 0),  # cat
    15: (192, 128, 128),  # person
    20: (0, 64, 128),  # tvmonitor
    255: (224, 224, 192),  # void
}


def test_palette_is_vocs():
    palette = vis.make_palette(256)
    assert palette.dtype == np.uint8 and len({tuple(c) for c in palette}) == 256
    for index, colour in VOC_COLOURS.items():
        assert tuple(palette[index]) == colour
    assert np.array_equal(vis.make_palette(21), palette[:21])


def test_color_seg():
    seg = np.array([[0, 15], [1, 20]], np.float32)
    coloured = vis.color_seg(seg, vis.make_palette(21))
    assert coloured.tolist() == [[[0, 0, 0], [192, 128, 128]], [[128, 0, 0], [0, 64, 128]]]


def test_overlay_blends_all_but_the_background():
    image = np.full((1, 3, 3), 100, np.uint8)
    overlay = vis.vis_seg(image, np.array([[0, 1, 4]]), vis.make_palette(5), alpha=0.25)
    assert overlay.tolist() == [[[100, 100, 100], [107, 75, 75], [75, 75, 107]]]
    assert overlay.dtype == np.uint8 and (image == 100).all()
