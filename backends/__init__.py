"""What each machine is: numbers, limits, programs, and how they are run."""
