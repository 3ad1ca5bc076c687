"""Train FCN-32s on SIFT Flow from VGG-16, scored on both tasks."""

from fcn.train import solve

if __name__ == "__main__":
    solve(
        __file__,
        start="ilsvrc-nets/vgg16-fcn",
        rounds=50,
        steps=2000,
        scored={"score_sem": "sem", "score_geo": "geo"},
    )
