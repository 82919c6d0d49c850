"""`ferryman crash-test`: kills workers, schedulers and Redis on purpose, and proves task by task that nothing was lost."""
