"""Real images: their sources, and the Parquet files that hold them."""
