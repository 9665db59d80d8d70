"""Real text: documents and prompt-response pairs, their tokens, and the built-in grammars."""
