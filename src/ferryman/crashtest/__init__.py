"""`ferryman crash-test`: kills workers, schedulers and Redis on purpose, and proves that nothing was lost."""
