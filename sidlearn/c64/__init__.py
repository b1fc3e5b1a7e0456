"""A Commodore 64 around the 6510: banking, both CIAs, the VIC's time, stand-ins for the ROMs, and `.sid` tunes."""
