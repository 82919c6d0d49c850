"""`ferryman top`: the live view of queues and workers, and the control panel's keys, in a terminal."""
