"""The Glue job `standardize`: everything it does is in the wheel; its request says which stage."""

from ledgerlake.jobs.run import main

main()
