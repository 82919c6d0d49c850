"""`python -m ferryman_scheduler` is `ferryman scheduler`."""

from ferryman_scheduler.command import scheduler

if __name__ == "__main__":
    scheduler(prog_name="ferryman scheduler")
