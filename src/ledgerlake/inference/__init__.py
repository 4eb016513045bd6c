"""From sample records to a contract that a person then finishes: pure, and by the project's own flatten and casts."""
