"""Transient state in DynamoDB and the contracts bucket; what is lost here is rebuilt from the tables (design 1)."""
