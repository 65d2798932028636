"""The judge: every claim of the theory beside measured error."""
