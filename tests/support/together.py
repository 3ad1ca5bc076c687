"""Runs a function in several processes that form a group of workers, and gives what each returns."""

import multiprocessing
import os
import traceback

import caffe
from caffe import nccl, workers

CONTEXT = multiprocessing.get_context("fork")
SECONDS = 60


def together(count, function, *arguments, patience=20.0):
    """What function(*arguments) returns in each of the workers, or its error's text, by rank."""
    uid = nccl.NCCL.new_uid().decode()
    pipes = [CONTEXT.Pipe(duplex=False) for _ in range(count)]
    processes = [
        CONTEXT.Process(
            target=_one, args=(rank, count, uid, patience, pipe[1], function, arguments)
        )
        for rank, pipe in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    results = []
    for ours, theirs in pipes:
        theirs.close()
        try:
            found = ours.recv() if ours.poll(SECONDS) else "hangs"
        except EOFError:
            found = "gone"
        results.append(found)
        ours.close()
    for process in processes:
        process.join(5)
        process.kill()
        process.join()
        process.close()
    return results


def _one(rank, count, uid, patience, pipe, function, arguments):
    """In a worker: join, call, tell."""
    workers.PATIENCE = patience
    caffe.set_random_seed(1)
    found = None
    try:
        group = workers.join(uid, rank, count)
        try:
            found = function(*arguments)
        except Exception as error:
            group.fail(error)
            raise
        group.leave()
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        if not isinstance(error, (workers.WorkerLost, ValueError)):
            traceback.print_exc()
    pipe.send(found)
    pipe.close()
    os._exit(0)  # nothing of the test's own process is to be finished here
