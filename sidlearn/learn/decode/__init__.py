"""From sound that a SID made to the registers it was told: `decode`."""

from sidlearn.learn.decode.decoder import Decoded, decode

__all__ = ["Decoded", "decode"]
