"""The Glue job `rebuild`: everything it does is in the wheel; its request says which pending contract."""

from ledgerlake.jobs.rebuild_for_contract import main

main()
