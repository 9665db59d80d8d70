"""Real images: where they are read from, and the Parquet files that hold them."""
