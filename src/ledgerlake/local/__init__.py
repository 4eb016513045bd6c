"""The whole of AWS that ledgerlake needs, on this machine: an embedded emulator and what it lacks."""
