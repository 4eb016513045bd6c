"""Read, transform, commit, checkpoint: what a Glue run does with its topics, and how a cycle's work is planned."""
