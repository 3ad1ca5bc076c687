"""Python processes that start warm: forked from one that has imported the engine.

A test that starts twenty trainings would import PyTorch twenty times. `start` is used as
subprocess.Popen is; the process it gives runs a script as `python SCRIPT ...` would.
"""

import atexit
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import cache

from places import ROOT

ENVIRONMENT = {"PYTHONPATH": str(ROOT), "GLOG_minloglevel": "0"}


# ---- the tests' side


class Process:
    """A script that runs, with subprocess.Popen's methods. Its output is text."""

    def __init__(self, server, words, cwd, environment):
        self.returncode = None
        ours, theirs = socket.socketpair()
        pipes = [os.pipe(), os.pipe()]
        wanted = {"words": [str(word) for word in words], "cwd": str(cwd)}
        request = json.dumps(wanted | {"environment": environment})
        socket.send_fds(server, [request.encode()], [theirs.fileno(), *(w for _, w in pipes)])
        for _, write in pipes:
            os.close(write)
        theirs.close()
        self.stdout, self.stderr = (os.fdopen(read) for read, _ in pipes)
        self.answers = ours.makefile()
        ours.close()  # the file keeps it open
        self.pid = int(self.answers.readline())

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self):
        """Wait for the end; returns the exit code, negative for a signal, as Popen does."""
        if self.returncode is None:
            self.returncode = int(self.answers.readline())
            self.answers.close()
        return self.returncode

    def poll(self):
        """The exit code, or None while it runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return self.wait()
        return None

    def communicate(self, timeout):
        """All output that has not been read, and what went to standard error."""
        found = {}
        readers = [
            threading.Thread(target=lambda f=file, k=k: found.update({k: f.read()}), daemon=True)
            for k, file in enumerate((self.stdout, self.stderr))
        ]
        for reader in readers:
            reader.start()
        end = time.monotonic() + timeout
        for reader in readers:
            reader.join(max(0, end - time.monotonic()))
        if len(found) < 2:
            self.kill()
            raise subprocess.TimeoutExpired("the script", timeout)
        self.wait()
        self.stdout.close()
        self.stderr.close()
        return found[0], found[1]


def start(words, cwd, **environment):
    """Start a script, whose path and arguments are `words`; more variables may be set for it."""
    return Process(_server(), words, cwd, {name: str(each) for name, each in environment.items()})


@cache
def _server():
    """The connection to the process that has imported the engine, which ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, __file__, str(theirs.fileno())]
    support = os.pathsep.join((str(ROOT), os.path.dirname(__file__)))
    server = subprocess.Popen(
        command,
        pass_fds=[theirs.fileno()],
        env=os.environ | ENVIRONMENT | {"PYTHONPATH": support},
        stdin=subprocess.DEVNULL,
    )
    theirs.close()

    def end():
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


# ---- the server's side


def serve(connection):
    """Fork for every request, until there are no more. Returns one only in a process that runs it."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 3)
        if not message:
            return None
        pid = os.fork()
        if pid == 0:
            connection.close()
            return json.loads(message), descriptors
        threading.Thread(target=watch, args=(pid, descriptors), daemon=True).start()


def watch(pid, descriptors):
    """Tell a process's number, and its exit code when it has ended."""
    answers, *others = descriptors
    for descriptor in others:
        os.close(descriptor)
    os.write(answers, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(status))
    os.close(answers)


def run(request, descriptors):
    """Run the script, as the main module of this process."""
    answers, out, err = descriptors
    os.close(answers)
    for descriptor, number in ((out, 1), (err, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    for name in ("stdout", "stderr"):
        getattr(sys, name).reconfigure(line_buffering=True)
    os.environ |= request["environment"]
    os.chdir(request["cwd"])
    sys.argv = request["words"]
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    import fcn.training  # noqa: F401  what every training imports

    if (wanted := serve(socket.socket(fileno=int(sys.argv[1])))) is not None:
        run(*wanted)
