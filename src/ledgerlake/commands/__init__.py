"""The command line's commands, by subject; `ledgerlake.cli` puts them together."""
