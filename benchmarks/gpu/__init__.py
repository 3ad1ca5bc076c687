"""Everything that has to be seen on a GPU, as one command: `python -m benchmarks.gpu`.

__main__    the command: plans the parts, runs each in a process of its own, keeps what they tell
part        such a process: the device, the sizes, `Report`
PARTS (parts.py) names the parts; each is a module of its name.
figures     puts the figures of a run into docs/performance.md and README.md
"""
