"""Iceberg: what the tables are, how they are made and evolved, and what their snapshots say."""
