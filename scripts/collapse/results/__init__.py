"""Results: datasets, comparisons with theory and published values, tables and figures."""
