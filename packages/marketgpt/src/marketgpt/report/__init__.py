"""The report of a demo: one HTML file that opens without a network."""
