"""SpiNNaker 2: float32 neurons, integer weights, multicast packets."""
