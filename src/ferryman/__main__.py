"""`python -m ferryman`, the same as the command `ferryman`."""

from ferryman.cli.main import main

if __name__ == "__main__":
    main()
