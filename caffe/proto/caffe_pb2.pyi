# For type checkers: the messages of caffe.proto are made at run time.
from typing import Any

def __getattr__(name: str) -> Any: ...
