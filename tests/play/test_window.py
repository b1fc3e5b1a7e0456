"""The window: keys, mouse, prompt and cells do what they say; nothing is cut off; a real one opens under Xvfb."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from sidlearn import registers
from sidlearn.play.desk import Knob, command
from sidlearn.play.record import new_record
from tests.conftest import need_real_part

pygame = pytest.importorskip("pygame")


class Desk:
    """A desk that keeps what it is asked for."""

    def __init__(self):
        self.record = new_record()
        self.record["clock_hz"], self.record["sample_rate"] = 985_248, 44_100
        self.title, self.model, self.latency_ms = "test", "6581", 11.6
        self.instruments, self.instrument = ["Lead", "Bass", "Snare"], 0
        self.turned = 0.5
        self.knobs = [Knob("CUTOFF", lambda: self.turned, self.turn, lambda: f"{self.turned:.2f}")]
        self.pokes, self.keys, self.paused = [], [], 0

    def turn(self, value):
        self.turned = value

    def poke(self, register, value):
        self.pokes.append((register, value))
        self.record["registers"][0, 0, register] = value
        self.record["written"][0, 0, register] = 0

    def key(self, note, velocity):
        self.keys.append((note, velocity))

    def sounding(self):
        return {60: 1}

    def choose(self, instrument):
        self.instrument = instrument

    def save(self):
        return "SAVED"

    def pause(self):
        self.paused += 1


@pytest.fixture
def window(monkeypatch):
    from sidlearn.play.window import Window

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()
    opened = Window(Desk())
    yield opened
    if opened.open:
        opened.close()
    pygame.display.quit()


def press(window, key, text="", mod=0, scancode=0, up=False):
    kind = pygame.KEYUP if up else pygame.KEYDOWN
    pygame.event.post(pygame.event.Event(kind, key=key, unicode=text, mod=mod, scancode=scancode))
    window.step()


def click(window, x, y, to=None):
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(round(x), round(y))))
    if to is not None:
        pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION, pos=to, rel=(0, 0), buttons=(1, 0, 0)))
    window.step()


def let_go(window):
    pygame.event.post(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=(0, 0)))
    window.step()


def type_line(window, text):
    press(window, pygame.K_RETURN)
    for character in text:
        press(window, 0, character)
    press(window, pygame.K_RETURN)


def test_the_keyboard_is_a_piano(window):
    press(window, pygame.K_q, "q", scancode=pygame.KSCAN_Q)
    press(window, pygame.K_q, "q", scancode=pygame.KSCAN_Q)  # a repeated key is one key
    press(window, pygame.K_RIGHT)  # the octave changes: the note ends
    press(window, pygame.K_z, "z", scancode=pygame.KSCAN_Z)
    press(window, pygame.K_z, "z", scancode=pygame.KSCAN_Z, up=True)
    assert [(n, v > 0) for n, v in window.desk.keys] == [(72, True), (72, False), (72, True), (72, False)]


def test_no_note_hangs_when_the_window_loses_the_keyboard(window):
    press(window, pygame.K_x, "x", scancode=pygame.KSCAN_X)
    pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSLOST))
    window.step()
    assert window.desk.keys == [(62, 100), (62, 0)]


def test_the_mouse_plays_and_slides_over_the_piano(window):
    click(window, 478, 560)
    click(window, 478, 560, to=(500, 560))
    let_go(window)
    ons = [n for n, v in window.desk.keys if v]
    offs = [n for n, v in window.desk.keys if not v]
    assert ons[0] == 60
    assert 62 in ons
    assert set(ons) == set(offs)


def test_a_cell_takes_a_byte(window):
    cell = window.registers._cell(registers.MODE_VOL)
    click(window, cell.x + 5, cell.y + 5)
    press(window, pygame.K_1, "1")
    assert window.desk.pokes == []
    press(window, pygame.K_f, "f")
    assert window.desk.pokes == [(24, 0x1F)]
    press(window, pygame.K_ESCAPE)
    assert window.open
    press(window, pygame.K_ESCAPE)
    assert not window.open


def test_the_prompt_pokes_and_peeks(window):
    type_line(window, "poke 54296,15:poke $d404,17")
    assert window.desk.pokes == [(24, 15), (4, 17)]
    assert window._answer == "READY."
    press(window, pygame.K_ESCAPE)
    type_line(window, "?peek(54296)")
    assert window._answer == "15"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("POKE 54296,256", "?ILLEGAL QUANTITY  ERROR: value 256: a register holds 0 to 255"),
        ("POKE 54299,1", "?ILLEGAL QUANTITY  ERROR: address 54299: it can only be read"),
        ("POKE 53280,0", "?ILLEGAL QUANTITY  ERROR: address 53280: a SID lies at 54272 to 55295"),
        ("LIST", "?SYNTAX  ERROR"),
        ("POKE", "?SYNTAX  ERROR"),
    ],
)
def test_a_wrong_line_is_answered(line, answer):
    assert command(Desk(), line).startswith(answer)


def test_osc3_and_env3_are_the_chips(window):
    window.desk.record["voices"]["osc3"][0, 0, 2] = 0xABC
    window.desk.record["voices"]["env3"][0, 0, 2] = 77
    assert command(window.desk, "?PEEK(54299):?PEEK(54300)") == "171 77"


def test_knobs_turn_with_mouse_and_wheel(window):
    box = window.panels[-3].box
    x, y = box.x + box.width / 2, box.y + 25
    click(window, x, y, to=(round(x), round(y - 30)))
    let_go(window)
    assert window.desk.turned == pytest.approx(0.75)
    window.panels[-3].scroll(-8, x, y, window.view)
    assert window.desk.turned == pytest.approx(0.625)


def test_instruments_by_key_and_mouse(window):
    press(window, pygame.K_UP)
    assert window.desk.instrument == 2
    box = window.panels[-2].box
    click(window, box.x + 20, box.y + 18 + 11 + 3)
    assert window.desk.instrument == 1


def test_space_pauses_and_help_opens(window):
    press(window, pygame.K_SPACE, " ")
    assert window.desk.paused == 1
    before = pygame.surfarray.array3d(window.screen.surface)
    press(window, pygame.K_F1)
    assert (pygame.surfarray.array3d(window.screen.surface) != before).mean() > 0.05
    press(window, pygame.K_F1)


@pytest.mark.parametrize("size", [(960, 600), (1920, 1200), (1000, 1000), (480, 300)])
def test_no_text_leaves_its_place(window, size):
    """Every text is drawn on the window and not over another one."""
    screen = window.screen
    screen.fit(pygame.Surface(size))
    written = []
    draw = screen.text

    def text(x, y, string, *rest, width=None, **more):
        if string.strip():
            room = screen.text_width(string) * (rest[1] if len(rest) > 1 else 1)
            written.append((x, y, min(room, width or room), string))
        draw(x, y, string, *rest, width=width, **more)

    screen.text = text
    window.draw()
    assert len(written) > 50
    if min(size[0] / 960, size[1] / 600) < 1:
        return  # below the size of the layout characters stay readable and may meet
    for x, y, room, string in written:
        assert x >= 0, string
        assert x + room <= 960.5, string
        assert 0 <= y <= 592, string
    for i, (x, y, room, string) in enumerate(written):
        for x2, y2, room2, other in written[i + 1 :]:
            apart = x + room <= x2 or x2 + room2 <= x or abs(y - y2) >= 7.5
            assert apart, f"{string!r} over {other!r}"


def test_scopes_stand_still():
    from sidlearn.play.panels import steady

    t = np.arange(4_000) / 44_100
    pictures = [steady(((t + shift) * 220 % 1 - 0.5).astype(np.float32), 1_024) for shift in (0.0, 0.0011, 0.0029)]
    for other in pictures[1:]:
        assert np.abs(other - pictures[0]).mean() < 0.05


def test_a_sounding_voice_lights_its_key(window):
    from sidlearn.play.panels import heard

    hz = 440.0
    freq = round(hz * (1 << 24) / 985_248)
    for register, value in ((7, freq & 255), (8, freq >> 8), (11, 0x41)):
        window.desk.poke(register, value)
    window.view.refresh()
    assert heard(window.view) == {69: 1}


def test_without_a_display(monkeypatch):
    from sidlearn.errors import DeviceError
    from sidlearn.play.window import Window

    pygame.display.quit()
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(DeviceError, match="no display for the window"):
        Window(SimpleNamespace(record=new_record()))
    pygame.display.quit()


REAL = """
import sys
from tests.play.test_window import Desk
from sidlearn.play.window import Window
window = Window(Desk())
for _ in range(3):
    window.step()
window.picture(sys.argv[1])
import pygame
print(pygame.display.get_driver())
window.close()
"""


def test_a_real_window_opens_under_xvfb(tmp_path):
    need_real_part("xvfb-run")
    environment = {k: v for k, v in os.environ.items() if k not in ("SDL_VIDEODRIVER", "DISPLAY")}
    environment["PYTHONPATH"] = os.getcwd()
    line = ["xvfb-run", "-a", "-s", "-screen 0 1280x800x24", sys.executable, "-c", REAL, str(tmp_path / "w.png")]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "x11"
    picture = pygame.image.load(tmp_path / "w.png")
    assert picture.get_size() == (960, 600)
    colours = {tuple(picture.get_at((x, y))[:3]) for x in range(0, 960, 3) for y in range(0, 600, 3)}
    assert len(colours) >= 8
