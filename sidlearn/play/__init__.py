"""Sound that is heard: the speakers, and the loop that keeps them fed."""
