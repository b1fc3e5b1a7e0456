"""From sound to registers, and how well that went."""
