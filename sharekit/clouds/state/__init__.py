"""The state of the clouds as DataFrames: of the shares asked about, or of everything."""
