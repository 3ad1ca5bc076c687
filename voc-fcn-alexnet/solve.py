"""Train FCN-AlexNet on SBD from CaffeNet; an iteration is 20 pictures."""

from fcn.train import solve

if __name__ == "__main__":
    solve(__file__, start="ilsvrc-nets/alexnet-fcn", rounds=25, steps=4000)
