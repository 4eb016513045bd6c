"""The JSON Schema of contracts, as a file."""
