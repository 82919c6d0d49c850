"""`python -m ferryman_worker QUEUE --app MODULE`: the same as `ferryman worker`."""

from ferryman_worker.command import worker

if __name__ == "__main__":
    worker(prog_name="python -m ferryman_worker")
