"""The data sets: a file each with all of its facts, and what fetches, prepares, checks and reads them."""
