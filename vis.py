"""Pictures of segmentations, under the name that the original's scripts import."""

from fcn.vis import color_seg, make_palette, vis_seg

__all__ = ["color_seg", "make_palette", "vis_seg"]
