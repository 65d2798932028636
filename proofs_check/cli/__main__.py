"""``python -m proofs_check.cli``."""

from . import main

if __name__ == "__main__":
    main()
