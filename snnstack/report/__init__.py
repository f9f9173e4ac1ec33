"""Reports: what a conversion cost, whether two runs are equal, what an inference costs."""
