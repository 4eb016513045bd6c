"""ledgerlake: an Iceberg lakehouse on AWS that accounts for every record."""

__version__ = "0.1.0"
