"""Instead of each machine: program and spikes become a trace, bit for bit."""
