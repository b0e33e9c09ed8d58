"""What the clouds show: of the rows asked about, or everything."""
