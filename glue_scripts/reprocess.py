"""The Glue job `reprocess`: everything it does is in the wheel; its request says which tables of which topic."""

from ledgerlake.jobs.reprocess import main

main()
