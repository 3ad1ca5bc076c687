"""What is run for hours: `python -m tests.soak` does, and `make test` a short form of it."""
