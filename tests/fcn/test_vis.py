"""VOC's colours, as its development kit lists them, and the overlay's arithmetic."""

import numpy as np
from PIL import Image

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


def test_overlay_of_many_rows():
    """The blocks that a tall picture is blended in leave no border."""
    rng = np.random.RandomState(0)
    image = rng.randint(0, 256, (3 * vis.BLOCK + 5, 7, 3)).astype(np.uint8)
    seg = rng.randint(0, 21, image.shape[:2])
    colours = np.float32(0.5) * image + np.float32(0.5) * vis.PALETTE[seg]
    wanted = np.where(seg[..., None] > 0, colours, image).astype(np.uint8)
    assert np.array_equal(vis.vis_seg(image, seg, vis.PALETTE), wanted)


def test_saved_classes_keep_their_source(tmp_path):
    vis.save_classes(np.eye(3), tmp_path / "a.png", "from here")
    vis.save_classes(np.eye(3), tmp_path / "b.png")
    (tmp_path / "c.png").write_text("no picture")
    assert [vis.source_of(tmp_path / f"{name}.png") for name in "abcd"] == ["from here", "", "", ""]
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), np.eye(3))


def test_legend():
    """The picture, and beside it a square in each class's colour; class 0 has none."""
    picture = Image.new("RGB", (300, 200), (10, 20, 30))
    shown = vis.add_legend(picture, [(0, "background 60.0%"), (15, "person 40.0%")])
    pixels = np.asarray(shown)
    assert np.array_equal(pixels[:, :300], np.asarray(picture)) and shown.height == 200
    strip = pixels[:, 300:].reshape(-1, 3)
    coloured = {tuple(c) for c in np.unique(strip[np.ptp(strip, 1) > 0], axis=0)}
    assert coloured == {VOC_COLOURS[15]}
    assert (strip < 100).any(1).sum() > 200  # letters
    wider = vis.add_legend(picture, [(1, "a much longer name than that of a person 40.0%")])
    assert wider.width > shown.width


def test_legend_of_a_tiny_picture_has_room_for_every_class():
    rows = [(k, f"class {k}") for k in range(1, 21)]
    pixels = np.asarray(vis.add_legend(Image.new("RGB", (1, 1)), rows))
    found = {tuple(c) for c in pixels.reshape(-1, 3)}
    assert found >= {tuple(c) for c in vis.make_palette(21)[1:]}
    assert vis.hex_color(20) == "#004080"
