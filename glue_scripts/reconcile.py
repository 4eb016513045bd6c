"""The Glue job `reconcile`: everything it does is in the wheel; its request says which topics, none being all."""

from ledgerlake.jobs.reconcile import main

main()
