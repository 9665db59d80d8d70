"""What a run leaves on disk: paths, steps, manifests, training sets; files that appear whole."""
