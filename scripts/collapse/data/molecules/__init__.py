"""Real conformations of molecules: where they are read from, and the files that hold them."""
