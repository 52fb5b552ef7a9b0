"""Everything that is measured on a GPU, in one command without a network; see run.sh and prepare.sh."""
