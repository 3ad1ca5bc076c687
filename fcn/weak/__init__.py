"""Weak labels (tags, sizes, points, boxes), and what nets learn from them."""
