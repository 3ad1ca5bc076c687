"""A model is found by its name or by any path to it; where its weights and snapshots belong."""

import pytest
from places import ROOT

from fcn import models, places


def test_a_model_may_be_named_by_any_path_to_it(model, monkeypatch):
    """What a shell completes, `voc-fcn8s/`, still has its published names."""
    for name in ("voc-fcn8s", "voc-fcn8s/", str(ROOT / "voc-fcn8s")):
        assert models.model_name(name) == "voc-fcn8s"
    monkeypatch.chdir(ROOT / "voc-fcn8s")
    assert models.model_name(".") == models.model_name("../voc-fcn8s/") == "voc-fcn8s"
    assert models.model_name(str(model) + "/") == str(model)  # one's own, wherever it is


def test_the_working_directory_comes_first(project, tmp_path, monkeypatch):
    for place in (project / "voc-x", tmp_path / "here" / "voc-x"):
        place.mkdir(parents=True)
        (place / "val.prototxt").write_text("")
    assert models.prototxt_of("voc-x") == project / "voc-x" / "val.prototxt"
    monkeypatch.chdir(tmp_path / "here")
    assert models.prototxt_of("voc-x") == tmp_path / "here" / "voc-x" / "val.prototxt"
    assert models.folder("ilsvrc-nets/vgg16-fcn", sample=True) == project / "ilsvrc-nets/sample"


def test_a_missing_prototxt_is_told_with_the_paths_tried(project):
    (project / "voc-x").mkdir()
    with pytest.raises(FileNotFoundError, match="no prototxt of voc-x") as error:
        models.prototxt_of("voc-x")
    for name in ("voc-x", "val", "test", "deploy"):
        assert f"{project}/voc-x/{name}.prototxt" in str(error.value)


def test_what_is_installed_is_not_written_to(project, tmp_path, monkeypatch):
    """Of a model in the installed package, a copy in the working directory is trained."""
    (project / "voc-x" / "sample").mkdir(parents=True)
    (project / "voc-x" / "solver.prototxt").write_text("base_lr: 1")
    assert models.writable(project / "voc-x") == project / "voc-x"  # a checkout
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(places, "INSTALLED", True)
    monkeypatch.setattr(places, "HOME", home)
    monkeypatch.chdir(home)
    assert models.own_folder("voc-x", sample=True) == home / "voc-x" / "sample"
    for _ in range(2):  # the copy is made once
        assert models.writable(project / "voc-x") == home / "voc-x"
    (home / "voc-x" / "solver.prototxt").write_text("base_lr: 2")
    models.writable(project / "voc-x")
    assert (models.folder("voc-x") / "solver.prototxt").read_text() == "base_lr: 2"
    assert models.model_name("voc-x") == "voc-x"


def test_an_empty_folder_hides_no_model_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voc-fcn8s").mkdir()
    assert models.model_name("voc-fcn8s") == "voc-fcn8s"
    assert models.folder("voc-fcn8s") == ROOT / "voc-fcn8s"
    (tmp_path / "voc-fcn8s/deploy.prototxt").write_text("")
    assert models.folder("voc-fcn8s") == tmp_path / "voc-fcn8s"


def test_what_is_not_there_is_told_with_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells/a").mkdir(parents=True)
    (tmp_path / "cells/a/solve.py").write_text("")
    (tmp_path / "cells/solve.py").write_text("")
    said = f"no model folder cels in {tmp_path} nor in {places.HOME}; did you mean cells"
    with pytest.raises(FileNotFoundError, match=said):
        models.model_name("cels")
    with pytest.raises(FileNotFoundError, match=f"no prototxt {tmp_path}/nothing.prototxt"):
        models.model_name("nothing.prototxt")
    (tmp_path / "cells/solve.py").unlink()
    text = str(models.no_model(tmp_path / "cells"))
    assert text.endswith("it has no solve.py; name one of those in it: a")
