"""What a record is: its envelope, its flattening and its casts, as pure functions over text and Arrow (design 4)."""
