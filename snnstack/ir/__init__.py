"""The network: as it was trained (`graph`), and per time step (`step`)."""
