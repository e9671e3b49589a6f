"""What tests share: factories, a clock to move, servers to start."""
