"""The window that shows the chip at work: layout, keys, mouse, and the loop that draws sixty pictures a second.

It reads the record of the audio thread and asks its `Desk` for writes and notes, so drawing never touches the sound.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from sidlearn import errors
from sidlearn.play import desk as desks
from sidlearn.play.desk import Desk

PICTURES_A_SECOND = 60
SMALLEST = (480, 300)

# Two rows of a computer keyboard by place, not by letter: SDL scan code name -> semitones above the octave's C.
_LOWER = ("Z", "S", "X", "D", "C", "V", "G", "B", "H", "N", "J", "M", "COMMA", "L", "PERIOD")
_UPPER = ("Q", "2", "W", "3", "E", "R", "5", "T", "6", "Y", "7", "U", "I", "9", "O", "0", "P")
PIANO_KEYS = {name: step for row, first in ((_LOWER, 0), (_UPPER, 12)) for step, name in enumerate(row, first)}
VELOCITY = 100

HELP = (
    ("Z S X D C ... , L .", "piano, lower octave"),
    ("Q 2 W 3 E ... 0 P", "piano, upper octave"),
    ("LEFT / RIGHT", "an octave down / up"),
    ("UP / DOWN", "instrument before / after"),
    ("SPACE", "pause what plays"),
    ("RETURN", "POKE prompt: POKE 54296,15  ?PEEK(54299)"),
    ("0-9 A-F", "a byte for the cell that was clicked"),
    ("CTRL+C", "copy the registers as a BASIC line"),
    ("CTRL+S", "save the instrument as it is"),
    ("MOUSE", "piano, knobs (also the wheel), list"),
    ("F1", "this page"),
    ("F11", "full screen and back"),
    ("F12", "save a picture of the window"),
    ("ESC", "leave the prompt, the cell, the page; the window"),
)

UNSEEN = ("dummy", "offscreen", "evdev")
"""SDL's video drivers that show nothing: taken by SDL where there is no display, by tests on purpose."""

WITHOUT = "`play --no-window` and `run` without --window play without"


class Window:
    """The window of one desk.

    Parameters
    ----------
    desk : Desk
    size : (int, int)
        Pixels; the layout is made for 960x600 and scales.

    Raises
    ------
    DeviceError
        If there is no display.
    """

    def __init__(self, desk: Desk, size: tuple[int, int] = (960, 600)) -> None:
        from sidlearn.play.speaker import pygame_module

        pygame = pygame_module()
        from sidlearn.play import panels
        from sidlearn.play.screen import Box, Screen

        self._pygame = pygame
        self.desk = desk
        try:
            pygame.display.init()
            driver = pygame.display.get_driver()
            if driver in UNSEEN and "SDL_VIDEODRIVER" not in os.environ:
                pygame.display.quit()
                raise errors.DeviceError(f"no display for the window (SDL finds only its driver {driver!r}); {WITHOUT}")
            surface = pygame.display.set_mode(size, pygame.RESIZABLE)
        except pygame.error as error:
            raise errors.DeviceError(f"no display for the window ({error}); {WITHOUT}") from None
        pygame.display.set_caption("sidlearn")
        pygame.key.set_repeat(0)
        self.screen = Screen(surface)
        self.view = panels.View(desk)
        self.status = panels.Status(Box(8, 6, 944, 10))
        self.registers = panels.Registers(Box(8, 178, 396, 166))
        self.piano = panels.Piano(Box(8, 496, 944, 76))
        scopes = Box(8, 24, 944, 148).columns(4, 6)
        self.panels = [
            self.status,
            *(panels.Scope(box, voice) for box, voice in zip(scopes, (0, 1, 2, None), strict=True)),
            self.registers,
            panels.Envelopes(Box(410, 178, 158, 166)),
            panels.Filter(Box(574, 178, 378, 166)),
            panels.Knobs(Box(8, 350, 702, 140)),
            panels.Instruments(Box(716, 350, 236, 140)),
            self.piano,
        ]
        self._prompt_box = Box(8, 578, 944, 16)
        self._scans = {getattr(pygame, f"KSCAN_{name}"): step for name, step in PIANO_KEYS.items()}
        self._octave = 4
        self._held: dict[int, int] = {}
        self._grabbed: panels.Panel | None = None
        self._prompt: str | None = None
        self._answer = "F1 HELP   RETURN: POKE PROMPT"
        self._help = False
        self.open = True

    def close(self) -> None:
        """Let every key go and close the window."""
        self._release_all()
        self._pygame.display.quit()
        self.open = False

    def run(self, going: Callable[[], bool] = lambda: True) -> None:
        """Draw and answer until the window is closed or `going` says no."""
        clock = self._pygame.time.Clock()
        while self.open and going():
            self.step()
            clock.tick(PICTURES_A_SECOND)
            self.view.frames_per_second = clock.get_fps()
        if self.open:
            self.close()

    def step(self) -> None:
        """Answer what has been typed and clicked, then draw one picture."""
        for event in self._pygame.event.get():
            self._answer_event(event)
            if not self.open:
                return
        self.draw()
        self._pygame.display.flip()

    def draw(self) -> None:
        """Draw one picture."""
        self.view.refresh()
        self.screen.clear()
        for panel in self.panels:
            panel.draw(self.screen, self.view)
        self._draw_prompt()
        if self._help:
            self._draw_help()

    def picture(self, path: str) -> None:
        """Save the window as an image."""
        self._pygame.image.save(self.screen.surface, path)

    # Keys and mouse.

    def _answer_event(self, event) -> None:
        pygame = self._pygame
        if event.type == pygame.QUIT:
            self.close()
        elif event.type == pygame.VIDEORESIZE:
            width, height = max(event.w, SMALLEST[0]), max(event.h, SMALLEST[1])
            if (width, height) != (event.w, event.h):
                pygame.display.set_mode((width, height), pygame.RESIZABLE)
            self.screen.fit(pygame.display.get_surface())
        elif event.type == pygame.WINDOWFOCUSLOST:
            self._release_all()  # the key's release would go to another window
        elif event.type == pygame.KEYDOWN:
            self._key_down(event)
        elif event.type == pygame.KEYUP:
            note = self._held.pop(event.scancode, None)
            if note is not None:
                self.desk.key(note, 0)
        elif event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            self._press(*self.screen.to_units(event.pos))
        elif event.type == pygame.MOUSEMOTION and self._grabbed is not None:
            self._grabbed.drag(*self.screen.to_units(event.pos), self.view)
        elif event.type == pygame.MOUSEBUTTONUP and event.button == 1 and self._grabbed is not None:
            self._grabbed.release(self.view)
            self._grabbed = None
        elif event.type == pygame.MOUSEWHEEL:
            x, y = self.screen.to_units(pygame.mouse.get_pos())
            for panel in self.panels:
                if panel.box.holds(x, y):
                    panel.scroll(event.y, x, y, self.view)

    def _press(self, x: float, y: float) -> None:
        if self._help:
            self._help = False
            return
        if self._prompt_box.holds(x, y):
            self._prompt = self._prompt or ""
            return
        self.registers.chosen = None
        for panel in self.panels:
            if panel.box.holds(x, y) and panel.press(x, y, self.view):
                self._grabbed = panel

    def _key_down(self, event) -> None:
        pygame = self._pygame
        control = event.mod & (pygame.KMOD_CTRL | pygame.KMOD_META)
        if event.key == pygame.K_ESCAPE:
            self._escape()
        elif event.key == pygame.K_F1:
            self._help = not self._help
        elif event.key == pygame.K_F11:
            pygame.display.toggle_fullscreen()
            self.screen.fit(pygame.display.get_surface())
        elif event.key == pygame.K_F12:
            name = time.strftime("sidlearn-%Y%m%d-%H%M%S.png")
            self.picture(name)
            self._answer = f"{name} SAVED"
        elif self._prompt is not None:
            self._type(event)
        elif control and event.key == pygame.K_c:
            self._copy()
        elif control and event.key == pygame.K_s:
            self._answer = self._obey(self.desk.save)
        elif event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            self._prompt = ""
        elif self.registers.type(event.unicode, self.view):
            pass
        elif event.key in (pygame.K_LEFT, pygame.K_RIGHT):
            self._release_all()
            self._octave = min(max(self._octave + (1 if event.key == pygame.K_RIGHT else -1), 0), 7)
            self._answer = f"OCTAVE {self._octave}"
        elif event.key in (pygame.K_UP, pygame.K_DOWN) and len(self.desk.instruments):
            step = 1 if event.key == pygame.K_DOWN else -1
            self.desk.choose((self.desk.instrument + step) % len(self.desk.instruments))
        elif event.key == pygame.K_SPACE:
            self.desk.pause()
        elif not control and event.scancode not in self._held:
            self._play_key(event.scancode)

    def _play_key(self, scancode: int) -> None:
        step = self._scans.get(scancode)
        if step is not None:
            note = min(12 * (self._octave + 1) + step, 127)
            self._held[scancode] = note
            self.desk.key(note, VELOCITY)

    def _release_all(self) -> None:
        for note in self._held.values():
            self.desk.key(note, 0)
        self._held.clear()
        if self._grabbed is not None:
            self._grabbed.release(self.view)
            self._grabbed = None

    def _escape(self) -> None:
        if self._help:
            self._help = False
        elif self._prompt is not None:
            self._prompt = None
        elif self.registers.chosen is not None:
            self.registers.chosen = None
        else:
            self.close()

    def _type(self, event) -> None:
        pygame = self._pygame
        text = self._prompt or ""
        if event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            self._answer = self._obey(lambda: desks.command(self.desk, text)) if text.strip() else ""
            self._prompt = "" if text.strip() else None
        elif event.key == pygame.K_BACKSPACE:
            self._prompt = text[:-1]
        elif event.unicode.isprintable() and len(text) < 80:
            self._prompt = text + event.unicode.upper()

    @staticmethod
    def _obey(action: Callable[[], str]) -> str:
        try:
            return action()
        except errors.SidlearnError as error:
            return str(error)

    def _copy(self) -> None:
        text = desks.listing([int(v) for v in self.view.image])
        try:
            self._pygame.scrap.put_text(text)
            self._answer = "COPIED AS BASIC LINES"
        except (AttributeError, self._pygame.error) as error:
            self._answer = f"NO CLIPBOARD: {error}"

    # What is no panel.

    def _draw_prompt(self) -> None:
        from sidlearn.play.screen import BLUE, CYAN, LIGHT_GREY, Box

        box = self._prompt_box
        if self._prompt is None:
            self.screen.text(box.x, box.y + 4, self._answer, LIGHT_GREY, width=box.width)
            return
        self.screen.fill(box, BLUE)
        cursor = "_" if time.monotonic() % 1 < 0.6 else " "
        line = f"{self._prompt}{cursor}"
        self.screen.text(box.x + 4, box.y + 4, line, width=box.width / 2)
        answer = Box(box.x + box.width / 2, box.y, box.width / 2, box.height)
        self.screen.text(answer.x, answer.y + 4, self._answer, CYAN, width=answer.width - 4)

    def _draw_help(self) -> None:
        from sidlearn.play.screen import BACKGROUND, CYAN, LIGHT_BLUE, WHITE, Box

        box = Box(160, 96, 640, 60 + 22 * len(HELP))
        self.screen.fill(box, BACKGROUND)
        self.screen.frame(box, LIGHT_BLUE)
        self.screen.text(box.x + 20, box.y + 16, "SIDLEARN", CYAN, 2)
        for row, (keys, what) in enumerate(HELP):
            y = box.y + 48 + 22 * row
            self.screen.text(box.x + 20, y, keys, CYAN)
            self.screen.text(box.x + 220, y, what, WHITE)
