"""What tests of whole worker processes stand on: a queue, an app, the log of what ran, and who restarts things."""
