"""Nursery: a process that forks children for `run_in="process"` handlers.

Forked from the worker when the app is imported but no thread and no loop exists yet, so its children start in
milliseconds with the app already in memory, and no lock is ever copied in the middle of being held.

Crashes: the nursery dies with the worker, its children die with it (each by the kernel's death signal). A child
that dies takes nothing with it: the worker sees the end of its socket, and asks here how it ended.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Callable
from typing import NoReturn

from ferryman_worker.lifeline import die_with_parent, leave_signals_to_parent

#: A request: b"f" (fork) or b"r" (end and reap), and a pid. The answer: pid or wait status; a fork's carries a socket.
REQUEST = struct.Struct("!cI")
ANSWER = struct.Struct("!I")


def fork_nursery(serve_child: Callable[[socket.socket], None]) -> tuple[int, socket.socket]:
    """Returns (pid, the socket to ask it by). `serve_child` is what each child runs, with its own socket."""
    ours, theirs = socket.socketpair()
    worker = os.getpid()
    pid = os.fork()
    if pid:
        theirs.close()
        return pid, ours
    try:
        die_with_parent(worker)
        leave_signals_to_parent()
        ours.close()
        _serve(theirs, serve_child)
    finally:
        os._exit(1)


def _serve(line: socket.socket, serve_child: Callable[[socket.socket], None]) -> NoReturn:
    while True:
        request = line.recv(REQUEST.size, socket.MSG_WAITALL)
        if len(request) < REQUEST.size:
            os._exit(0)  # the worker is gone, or has closed the pool
        what, pid = REQUEST.unpack(request)
        if what == b"f":
            _fork_child(line, serve_child)
        else:
            line.sendall(ANSWER.pack(_end(pid)))


def _fork_child(line: socket.socket, serve_child: Callable[[socket.socket], None]) -> None:
    worker_end, child_end = socket.socketpair()
    nursery = os.getpid()
    try:
        pid = os.fork()
    except OSError:  # out of memory or of pids: this task fails, the next one may find room
        child_end.close()
        worker_end.close()
        line.sendall(ANSWER.pack(0))
        return
    if pid == 0:
        try:
            die_with_parent(nursery)
            line.close()
            worker_end.close()
            serve_child(child_end)
        finally:
            os._exit(1)
    child_end.close()
    socket.send_fds(line, [ANSWER.pack(pid)], [worker_end.fileno()])
    worker_end.close()


def _end(pid: int) -> int:
    """Makes sure that the child is dead, and returns how it ended. Nobody else reaps, so the pid is still its own."""
    try:
        os.kill(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)[1]
    except (ProcessLookupError, ChildProcessError):
        return 0
