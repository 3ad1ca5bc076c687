"""Pictures of segmentations, under the name that scripts import; see fcn/vis.py."""

from fcn.vis import color_seg, make_palette, vis_seg

__all__ = ["color_seg", "make_palette", "vis_seg"]
