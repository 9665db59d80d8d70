"""Real conformations of molecules: their sources, and the Parquet files that hold them."""
