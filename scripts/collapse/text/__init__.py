"""What the families of causal language models share: tokens, checkpoints, likelihoods, samples."""
