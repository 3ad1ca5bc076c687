"""Measurements: us and the peers on the same work, in the same run."""
