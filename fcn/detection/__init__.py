"""Detection: nets of the R-CNN line, boxes of pictures, what nets find, and how it is scored."""
