"""Drawing for the window: colours, text of our own characters, shapes in units that grow with the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pygame

from sidlearn import charset

Colour = tuple[int, int, int]

# The VIC-II's sixteen colours, computed from its video signal: P. Timmermann, "Commodore VIC-II Color Analysis" (2017).
BLACK, WHITE, RED, CYAN = (0, 0, 0), (255, 255, 255), (129, 51, 56), (117, 206, 200)
PURPLE, GREEN, BLUE, YELLOW = (142, 60, 151), (86, 172, 77), (46, 44, 155), (237, 241, 113)
ORANGE, BROWN, LIGHT_RED, DARK_GREY = (142, 80, 41), (85, 56, 0), (196, 108, 113), (74, 74, 74)
GREY, LIGHT_GREEN, LIGHT_BLUE, LIGHT_GREY = (123, 123, 123), (169, 255, 159), (112, 109, 235), (178, 178, 178)

VOICE_COLOURS = (CYAN, YELLOW, LIGHT_GREEN)
MIX_COLOUR = WHITE
BACKGROUND = (16, 15, 48)
PANEL = (28, 27, 84)

WIDTH, HEIGHT = 960, 600
"""Units of the window's layout: pixels at its smallest size."""

TEXTS_KEPT = 2_000


@dataclass(frozen=True)
class Box:
    """A rectangle in units."""

    x: float
    y: float
    width: float
    height: float

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies in it."""
        return self.x <= x < self.x + self.width and self.y <= y < self.y + self.height

    def inset(self, margin: float) -> Box:
        """Return the box without a margin on each side."""
        return Box(self.x + margin, self.y + margin, self.width - 2 * margin, self.height - 2 * margin)

    def columns(self, count: int, gap: float = 0) -> list[Box]:
        """Return equal boxes side by side."""
        width = (self.width - gap * (count - 1)) / count
        return [Box(self.x + i * (width + gap), self.y, width, self.height) for i in range(count)]


class Screen:
    """A surface that is drawn on in units of the layout, whatever its size.

    Parameters
    ----------
    surface : pygame.Surface
        The layout is scaled to fit and stands in the middle.
    """

    def __init__(self, surface: pygame.Surface) -> None:
        self._texts: dict[tuple[str, Colour, int], pygame.Surface] = {}
        self.fit(surface)

    def fit(self, surface: pygame.Surface) -> None:
        """Draw on another surface, or on the same one at another size."""
        self.surface = surface
        width, height = surface.get_size()
        self.scale = max(min(width / WIDTH, height / HEIGHT), 0.25)
        self._left = (width - WIDTH * self.scale) / 2
        self._top = (height - HEIGHT * self.scale) / 2
        self.dot = max(int(self.scale), 1)
        """Pixels of a character's dot, and of a thin line."""

    def to_units(self, pixel: tuple[int, int]) -> tuple[float, float]:
        """Return the place of a pixel in units."""
        return (pixel[0] - self._left) / self.scale, (pixel[1] - self._top) / self.scale

    def _rect(self, box: Box) -> pygame.Rect:
        left, top = self._left + box.x * self.scale, self._top + box.y * self.scale
        right, bottom = left + box.width * self.scale, top + box.height * self.scale
        return pygame.Rect(round(left), round(top), round(right) - round(left), round(bottom) - round(top))

    def clear(self) -> None:
        """Fill all with the background."""
        self.surface.fill(BACKGROUND)

    def fill(self, box: Box, colour: Colour) -> None:
        """Fill a box."""
        self.surface.fill(colour, self._rect(box))

    def frame(self, box: Box, colour: Colour) -> None:
        """Draw the edge of a box."""
        pygame.draw.rect(self.surface, colour, self._rect(box), self.dot)

    def line(self, points: np.ndarray | Sequence[tuple[float, float]], colour: Colour, smooth: bool = True) -> None:
        """Draw a line through points in units, ``(n, 2)``."""
        pixels = np.asarray(points, float) * self.scale + (self._left, self._top)
        if len(pixels) < 2:
            return
        draw = pygame.draw.aalines if smooth and self.dot == 1 else pygame.draw.lines
        if draw is pygame.draw.aalines:
            draw(self.surface, colour, False, pixels)
        else:
            pygame.draw.lines(self.surface, colour, False, pixels, self.dot)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draw a filled circle."""
        centre = (self._left + x * self.scale, self._top + y * self.scale)
        pygame.draw.circle(self.surface, colour, centre, radius * self.scale)

    def text_width(self, text: str, size: int = 1) -> float:
        """Return how many units wide a text is."""
        return len(text) * charset.SIZE * size * self.dot / self.scale

    def text(
        self, x: float, y: float, text: str, colour: Colour = WHITE, size: int = 1, width: float | None = None
    ) -> None:
        """Write a line from its upper left corner; what is wider than `width` units ends in a full stop pair."""
        if width is not None:
            room = int(width / self.text_width("x", size))
            text = text if len(text) <= room else text[: max(room - 2, 0)] + ".."[:room]
        if not text:
            return
        key = (text, colour, size * self.dot)
        picture = self._texts.get(key)
        if picture is None:
            if len(self._texts) >= TEXTS_KEPT:
                self._texts.clear()
            picture = self._texts[key] = _picture(*key)
        self.surface.blit(picture, (round(self._left + x * self.scale), round(self._top + y * self.scale)))

    def centred(self, box: Box, text: str, colour: Colour = WHITE, size: int = 1) -> None:
        """Write a line in the middle of a box."""
        height = charset.SIZE * size * self.dot / self.scale
        x = box.x + (box.width - self.text_width(text, size)) / 2
        self.text(x, box.y + (box.height - height) / 2, text, colour, size)


def _picture(text: str, colour: Colour, dot: int) -> pygame.Surface:
    """Return a text as a surface with a transparent background, `dot` pixels for each of a character's dots."""
    dots = np.concatenate([charset.glyph(c) for c in text], axis=1)
    pixels = dots.repeat(dot, axis=0).repeat(dot, axis=1)
    picture = pygame.Surface(pixels.shape[::-1], pygame.SRCALPHA)
    picture.fill((*colour, 255))
    alpha = pygame.surfarray.pixels_alpha(picture)
    alpha[:] = pixels.T * 255
    del alpha  # unlocks the surface
    return picture
