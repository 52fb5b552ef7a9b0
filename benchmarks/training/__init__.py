"""Time and memory of training steps and of the loss alone, against fairseq's own criteria in the same run."""
