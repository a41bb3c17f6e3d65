"""What is done to the data: one stage per file, in the order of the chain."""
