"""The well-known nets, a family a file; examples/known_nets.py lists them."""
