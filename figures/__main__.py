"""``python -m figures``."""

from .cli import main

main()
