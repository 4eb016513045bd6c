"""The Glue job `replay`: everything it does is in the wheel; its request says which errors of which topic."""

from ledgerlake.jobs.replay import main

main()
