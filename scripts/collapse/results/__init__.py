"""What came out: datasets, comparisons with theory and publications, tables and figures."""
