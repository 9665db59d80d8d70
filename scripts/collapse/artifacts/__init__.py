"""What a run leaves on disk: where files are, what they hold, and how they are written."""
