"""Train FCN-16s on SIFT Flow from FCN-32s, scored on both tasks."""

from fcn.train import solve

if __name__ == "__main__":
    solve(
        __file__,
        start="siftflow-fcn32s",
        rounds=50,
        steps=2000,
        scored={"score_sem": "sem", "score_geo": "geo"},
    )
