"""Fixtures of inspecting: an empty working directory, errors alone in the log."""

import pytest

from caffe import glog
from caffe.inspecting import inspect


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = glog.logger.level
    glog.init_log(2)
    yield tmp_path
    glog.logger.setLevel(before)


@pytest.fixture
def said(folder):
    """What is said of content that is written to a file of that name."""

    def said(content, name="file", **kwargs):
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return inspect(name, **kwargs).text(name)

    return said
