"""Score FCN-8s by the schedules of a clockwork on short videos; `--help` says more."""

from fcn.clockwork_videos import main

if __name__ == "__main__":
    main()
