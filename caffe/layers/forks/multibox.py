"""MultiBoxLoss of SSD (multibox_loss_layer.cpp, util/bbox_util.cpp)."""

from __future__ import annotations

import numpy as np
import torch

from ...boxes import encode, overlaps
from ...layer import Blobs, register
from ...proto import caffe_pb2
from ..loss import MODE, Loss

MULTIBOX = caffe_pb2.MultiBoxLossParameter
# what is not here, with the only value that is
ONLY = {
    "share_location": True,
    "use_prior_for_matching": True,
    "encode_variance_in_target": False,
    "ignore_cross_boundary_bbox": False,
    "bp_inside": False,
}


def match(shared: np.ndarray, threshold: float | None) -> np.ndarray:
    """The object of each prior box, -1 for none; `shared` (priors, objects) are their overlaps.

    Every object gets the box that overlaps most with it, the best pair first; then, with a threshold,
    every other box the object that it overlaps most with, by so much at least.
    """
    found = np.full(len(shared), -1)
    left = shared.copy()
    for _ in range(shared.shape[1]):
        prior, thing = np.unravel_index(left.argmax(), left.shape)
        if left[prior, thing] <= 1e-6:
            break
        found[prior] = thing
        left[prior], left[:, thing] = -1, -1
    if threshold is not None and shared.shape[1]:
        free = (found == -1) & (shared.max(1) >= threshold)
        found[free] = shared.argmax(1)[free]
    return found


@register
class MultiBoxLoss(Loss):
    """conf + loc_weight * loc, over the number of matched prior boxes (normalization VALID): how far the
    codes of matched boxes are off, and how wrong the scores of those and of the worst negatives.

    Bottoms: codes of boxes (N, priors * 4), scores (N, priors * classes), PriorBox's top, and objects
    (1, 1, G, 8): picture, class, instance, xmin, ymin, xmax, ymax, difficult. mining_type HARD_EXAMPLE
    and some switches of SSD are not there, and said so.
    """

    fork = "SSD"
    num_bottom = 4

    def allow_force_backward(self, bottom_index):
        return bottom_index < 2

    def setup(self, bottom, top):
        p = self.param
        if p.num_classes < 2:
            raise self.error(f"num_classes must be given, and above 1, got {p.num_classes}")
        for name, value in ONLY.items():
            if getattr(p, name) != value:
                raise self.error(f"{name}: {str(value).lower()} only", NotImplementedError)
        if p.mining_type == MULTIBOX.HARD_EXAMPLE:
            raise self.error("mining_type HARD_EXAMPLE is not there", NotImplementedError)
        # do_neg_mining is the older field
        mines = p.do_neg_mining if p.HasField("do_neg_mining") else p.mining_type != MULTIBOX.NONE
        self.mines = mines

    def reshape(self, bottom, top):
        self.num, self.priors = bottom[0].shape[0], self.legacy_shape(bottom[2])[2] // 4
        wanted = [self.num * self.priors * n for n in (4, self.param.num_classes)]
        if [bottom[0].count, bottom[1].count] != wanted:
            raise self.error(
                f"{self.priors} prior boxes and {self.param.num_classes} classes need "
                f"{wanted[0] // self.num} codes and {wanted[1] // self.num} scores a picture, got shapes "
                f"{list(bottom[0].shape)} and {list(bottom[1].shape)}"
            )
        if bottom[3].count % 8:
            raise self.error(f"objects are rows of 8, got shape {list(bottom[3].shape)}")
        top[0].set_shape([])

    def objects(self, bottom: Blobs, item: int) -> torch.Tensor:
        """The rows of a picture's objects."""
        rows = bottom[3].x.view(-1, 8)
        mine = rows[:, 0] == item
        if not self.param.use_difficult_gt:
            mine = mine & (rows[:, 7] == 0)
        return rows[mine]

    def targets(self, bottom: Blobs, scores: torch.Tensor) -> None:
        """Set `label`, -1 for boxes that do not count, `matched` and `wanted`, the matched boxes' codes."""
        p = self.param
        prior, variance = bottom[2].x.view(2, self.priors, 4)
        labels, matches, wanted = [], [], []
        for i in range(self.num):
            rows = self.objects(bottom, i)
            shared = overlaps(prior, rows[:, 3:7]).cpu().numpy()
            threshold = p.overlap_threshold if p.match_type == MULTIBOX.PER_PREDICTION else None
            thing = match(shared, threshold)
            at = torch.as_tensor(thing, device=rows.device)
            found = at >= 0
            label = torch.full_like(at, p.background_label_id)
            kinds = torch.ones_like(rows[:, 1]) if p.map_object_to_agnostic else rows[:, 1]
            label[found] = kinds.long()[at[found]]
            if self.mines:
                label[~found & ~self.worst(scores[i], shared, found)] = -1
            labels.append(label)
            matches.append(found)
            wanted.append(encode(p.code_type, rows[at[found], 3:7], prior[found], variance[found]))
        self.label, self.matched = torch.stack(labels), torch.stack(matches)
        self.wanted = torch.cat(wanted)
        if self.label.numel():
            self.check_range(self.label + 1, self.check_extremes)

    def check_extremes(self, low: int, high: int) -> None:
        """Raise ValueError for an object of no class; `high` is a label plus one."""
        if high > self.param.num_classes:
            raise self.error(
                f"an object is of class {high - 1}, num_classes is {self.param.num_classes}"
            )

    def worst(self, scores: torch.Tensor, shared: np.ndarray, found: torch.Tensor) -> torch.Tensor:
        """Which negatives count: neg_pos_ratio for each positive, those that the scores get most wrong."""
        p = self.param
        nearest = torch.as_tensor(shared.max(1, initial=0), device=scores.device)
        free = ~found & (nearest < p.neg_overlap)
        background = torch.full((len(scores), 1), p.background_label_id, device=scores.device)
        loss = self.confidence_loss(scores, background)
        order = loss.masked_fill(~free, -torch.inf).argsort(descending=True, stable=True)
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order), device=order.device)
        most = (found.sum() * p.neg_pos_ratio).long()  # truncated, as there
        return free & (rank < most)

    def confidence_loss(self, scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """How wrong scores (boxes, classes) are for labels (boxes, 1)."""
        if self.param.conf_loss_type == MULTIBOX.SOFTMAX:
            return scores.logsumexp(1) - scores.gather(1, label)[:, 0]
        target = torch.zeros_like(scores).scatter_(1, label, 1)
        return (torch.logaddexp(scores, torch.zeros_like(scores)) - scores * target).sum(1)

    def forward(self, bottom, top):
        p = self.param
        scores = bottom[1].x.view(self.num, self.priors, p.num_classes)
        self.targets(bottom, scores)
        d = bottom[0].x.view(self.num, self.priors, 4)[self.matched]
        self.off = d - self.wanted
        if p.loc_loss_type == MULTIBOX.L2:
            loc = self.off.square().sum() / 2
        else:
            size = self.off.abs()
            loc = torch.where(size < 1, size.square() / 2, size - 0.5).sum()
        counts = self.label >= 0
        conf = self.confidence_loss(scores[counts], self.label[counts][:, None]).sum()
        mode = self.normalization(MODE.VALID)
        full = {MODE.FULL: self.num * self.priors, MODE.BATCH_SIZE: self.num, MODE.NONE: 1}
        self.divisor = full.get(mode, self.matched.sum().clamp(min=1))
        top[0].x.copy_((p.loc_weight * loc + conf) / self.divisor)

    def backward(self, top, propagate_down, bottom):
        for index in (2, 3):
            self.check_no_gradient(propagate_down, index)
        p, share = self.param, top[0].dx / self.divisor
        if propagate_down[0]:
            slope = self.off if p.loc_loss_type == MULTIBOX.L2 else self.off.clamp(-1, 1)
            dx = bottom[0].dx.zero_().view(self.num, self.priors, 4)
            dx[self.matched] = slope * (share * p.loc_weight)
        if propagate_down[1]:
            shape = (self.num, self.priors, p.num_classes)
            counts = self.label >= 0
            scores = bottom[1].x.view(shape)[counts]
            softmax = p.conf_loss_type == MULTIBOX.SOFTMAX
            slope = torch.softmax(scores, 1) if softmax else torch.sigmoid(scores)
            slope.scatter_add_(1, self.label[counts][:, None], -torch.ones_like(slope[:, :1]))
            bottom[1].dx.zero_().view(shape)[counts] = slope * share
