"""Code shared by families of causal language models: tokens, checkpoints, likelihoods, samples."""
