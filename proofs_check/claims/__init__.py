"""One file for each claim, named by its id; files ``false_*`` are wrong on purpose."""
