"""One style for all figures, and the portraits that pictures are drawn from."""
