"""The data sets: one folder each with its classes and how to get it, and the tools they share."""
