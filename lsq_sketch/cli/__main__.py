"""``python -m lsq_sketch.cli``."""

from . import main

if __name__ == "__main__":
    main()
