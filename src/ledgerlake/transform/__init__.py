"""DataFrame to DataFrame: what becomes of a batch's rows, without AWS or tables."""
