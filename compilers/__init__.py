"""To each machine: quantised network and board become a program."""
