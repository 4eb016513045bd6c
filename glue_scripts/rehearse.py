"""The Glue job `rehearse`: everything it does is in the wheel; its request holds the proposed contract of a topic."""

from ledgerlake.jobs.rehearse import main

main()
